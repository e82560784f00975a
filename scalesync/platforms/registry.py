"""The known platforms: the program's own, and those of plug-ins.

A plug-in names its spec in the entry-point group `scalesync.platforms` (name -> `module:SPEC`). The program imports it
when somebody asks for its name, never before.
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
    """The class of the live object, which a spec names as its `adapter`."""

    def __call__(
        self, transport: Transport, task_type: str = "", namespace: str = "", extras: Mapping[str, Any] = EXTRAS
    ) -> Platform:
        """Make the roles of the platform over one transport. Sends nothing.

        namespace: the project of the keys, if a key is known within a project.
        extras: the options as `spec.options` read them.
        """

    def credential(self, api_key: str) -> Credential:
        """The credential for an API key."""


def names() -> Sequence[str]:
    """The names of all platforms: the program's own, then those of plug-ins. Imports nothing."""
    return [*BUILT_IN, *PLUGINS.names()]


def default() -> PlatformSpec:
    """The platform that is used if no setting names one."""
    return spec_of(DEFAULT_PLATFORM)


def spec_of(name: str) -> PlatformSpec:
    """The spec of a platform. Raises ConfigError if no platform has that name, or if its spec does not fit."""
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
    """The program's own platform whose API has this address; None for any other address."""
    return next((spec for spec in map(spec_of, BUILT_IN) if spec.is_at(base_url)), None)


def adapter_of(spec: PlatformSpec) -> Adapter:
    """Import the adapter of a platform."""
    return cast(Adapter, _load(spec.adapter))


def _load(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
