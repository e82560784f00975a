"""Which platforms there are: those that come with the program, and those that a plug-in brings.

A plug-in names its spec in the entry-point group `scalesync.platforms` (name -> `module:SPEC`). It is imported when it
is asked for by its name, never before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

from scalesync.errors import ConfigError
from scalesync.model.targets import DEFAULT_PLATFORM
from scalesync.plugins import Plugins
from scalesync.ports.spec import API, PlatformSpec
from scalesync.text import did_you_mean

if TYPE_CHECKING:
    from scalesync.http.transport import Transport
    from scalesync.ports.credential import Credential
    from scalesync.ports.platform import Platform

GROUP = "scalesync.platforms"
EXTRAS: Mapping[str, Any] = MappingProxyType({})
BUILT_IN = {"scale": "scalesync.platforms.scale.spec:SPEC"}
PLUGINS = Plugins(GROUP, "platform", PlatformSpec, API, BUILT_IN)


class Adapter(Protocol):
    """What a spec's `adapter` names: the live object's class."""

    def __call__(
        self, transport: Transport, task_type: str = "", namespace: str = "", extras: Mapping[str, Any] = EXTRAS
    ) -> Platform:
        """The roles of the platform over one transport; nothing is sent.

        namespace: the project whose keys are meant, where a key is known within one. extras: as `spec.options` read it.
        """

    def credential(self, api_key: str) -> Credential:
        """What opens the platform for the holder of the key."""


def names() -> Sequence[str]:
    """Every platform by name: the program's own, then those of plug-ins; nothing is imported."""
    return [*BUILT_IN, *PLUGINS.names()]


def default() -> PlatformSpec:
    """The platform where nothing says which."""
    return spec_of(DEFAULT_PLATFORM)


def spec_of(name: str) -> PlatformSpec:
    """The spec of a platform. Raises ConfigError where there is none of that name, or it does not fit."""
    if name in BUILT_IN:
        return cast(PlatformSpec, _load(BUILT_IN[name]))
    found = PLUGINS.load(name)
    if found is None:
        known = names()
        raise ConfigError(
            f"there is no platform {name!r}{did_you_mean(name, known)}; this version has {', '.join(known)}"
        )
    return found


def spec_at(base_url: str) -> PlatformSpec | None:
    """The platform whose own API has this address; None where none of the program's own says so."""
    return next((spec for spec in map(spec_of, BUILT_IN) if spec.is_at(base_url)), None)


def adapter_of(spec: PlatformSpec) -> Adapter:
    """What opens a platform; imported now."""
    return cast(Adapter, _load(spec.adapter))


def _load(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
