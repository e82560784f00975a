"""Which platforms there are: those that come with the program, and those that a plug-in brings.

A plug-in names its spec in the entry-point group `scalesync.platforms` (name -> `module:SPEC`). It is imported when it
is asked for by its name, never before.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast
from urllib.parse import urlsplit

from scalesync.errors import ConfigError
from scalesync.http.transport import Transport
from scalesync.ports.platform import Platform
from scalesync.ports.spec import API, PlatformSpec
from scalesync.text import did_you_mean

GROUP = "scalesync.platforms"
DEFAULT = "scale"
BUILT_IN = {"scale": "scalesync.platforms.scale.spec:SPEC"}


class Adapter(Protocol):
    """What a spec's `adapter` names: the live object's class."""

    def __call__(self, transport: Transport, task_type: str = "") -> Platform:
        """The roles of the platform over one transport; nothing is sent."""

    def authorization(self, api_key: str) -> str:
        """The value of the header Authorization."""


def names() -> Sequence[str]:
    """Every platform by name: the program's own, then those of plug-ins; nothing is imported."""
    return list(dict.fromkeys([*BUILT_IN, *sorted(point.name for point in entry_points(group=GROUP))]))


def spec_of(name: str) -> PlatformSpec:
    """The spec of a platform. Raises ConfigError where there is none of that name, or it does not fit."""
    if name in BUILT_IN:
        return cast(PlatformSpec, _load(BUILT_IN[name]))
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        known = names()
        raise ConfigError(
            f"there is no platform {name!r}{did_you_mean(name, known)}; this version has {', '.join(known)}"
        )
    return _plugged(found[0])


def name_for(base_url: str) -> str | None:
    """The platform whose own API has this address; None where none of the program's own says so."""
    host = urlsplit(base_url).hostname
    return next((name for name in BUILT_IN if host in spec_of(name).hosts), None)


def adapter_of(spec: PlatformSpec) -> Adapter:
    """What opens a platform; imported now."""
    return cast(Adapter, _load(spec.adapter))


def _plugged(point: EntryPoint) -> PlatformSpec:
    where = f"platform {point.name!r} of the plug-in {point.value}"
    try:
        spec = point.load()
    except Exception as error:  # a plug-in may fail in any way while it is imported
        raise ConfigError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(spec, PlatformSpec):
        raise ConfigError(f"{where} is not a PlatformSpec; correct its entry point")
    if spec.api != API:
        raise ConfigError(f"{where} is written for version {spec.api} of the port, this program has {API}; update it")
    if spec.name != point.name:
        raise ConfigError(f"{where} calls itself {spec.name!r}; its entry point must have the same name")
    return spec


def _load(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
