"""The known platforms: the program's own, and those of plug-ins.

A plug-in names its spec in the entry-point group `scalesync.platforms` (name -> `module:SPEC`). The program imports it
when somebody asks for its name, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from scalesync.errors import ConfigError
from scalesync.fences import Fence, Fenced
from scalesync.model.targets import DEFAULT_PLATFORM
from scalesync.plugins import Plugins
from scalesync.ports.spec import API, PlatformSpec, Shaper
from scalesync.text import did_you_mean

if TYPE_CHECKING:
    from scalesync.http.transport import Transport
    from scalesync.ports.credential import Credential
    from scalesync.ports.platform import Platform

T = TypeVar("T")
GROUP = "scalesync.platforms"
EXTRAS: Mapping[str, Any] = MappingProxyType({})
BUILT_IN = {"scale": "scalesync.platforms.scale.spec:SPEC", "scale-v2": "scalesync.platforms.scale.v2.spec:SPEC"}


def _fenced(spec: PlatformSpec, fence: Fence) -> PlatformSpec:
    """Of another package."""
    return replace(
        spec,
        shaper=cast(Shaper, Fenced(spec.shaper, fence)),
        view=fence.call(spec.view),
        parts=None if spec.parts is None else fence.call(spec.parts),
        mode_of=fence.call(spec.mode_of),
        reading=fence.call(spec.reading),
        options={name: replace(option, parse=_refusing(option.parse, fence)) for name, option in spec.options.items()},
        changes={
            name: replace(change, plan=fence.call(change.plan), check=_refusing(change.check, fence))
            for name, change in spec.changes.items()
        },
    )


def _refusing(check: Callable[[T], Any], fence: Fence) -> Callable[[T], Any]:
    """What reads or checks something that a person typed, inside of the fence. A ValueError is for that person."""

    def checked(typed: T) -> Any:
        with fence:
            try:
                return check(typed)
            except ValueError as error:
                refusal = error
        raise refusal

    return checked


PLUGINS = Plugins(GROUP, "platform", PlatformSpec, API, BUILT_IN, fenced=_fenced)
_ROLES = ("creator", "lister", "containers", "commands", "export_jobs")
_LATER = ("blueprints", "changer")  # roles that a platform of an earlier version does not name


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
    """Import the adapter of a platform. Raises ConfigError if that of a plug-in cannot be imported."""
    if spec.name in BUILT_IN:
        return cast(Adapter, _load(spec.adapter))
    return cast(Adapter, _FencedAdapter(PLUGINS.part(spec.name, spec.adapter), spec, PLUGINS.fence(spec.name)))


def resources_of(spec: PlatformSpec) -> object:
    """Import the commands for a platform's own things. Raises ConfigError if it has none."""
    if not spec.resources:
        raise ConfigError(f"scalesync has no commands for the things of {spec.title}")
    if spec.name in BUILT_IN:
        return _load(spec.resources)
    return Fenced(PLUGINS.part(spec.name, spec.resources), PLUGINS.fence(spec.name))


class _FencedAdapter:
    """A plug-in's, with all that it opens inside of the fence."""

    def __init__(self, adapter: Adapter, spec: PlatformSpec, fence: Fence) -> None:
        self._adapter = adapter
        self._spec = spec
        self._fence = fence

    def __call__(self, *args: Any, **kwargs: Any) -> Platform:
        with self._fence:
            platform = self._adapter(*args, **kwargs)
            roles = {name: getattr(platform, name) for name in _ROLES}
            roles |= {name: getattr(platform, name, None) for name in _LATER}
        fenced = {name: None if role is None else Fenced(role, self._fence) for name, role in roles.items()}
        return cast("Platform", _FencedPlatform(platform, self._spec, fenced, self._fence))

    def credential(self, api_key: str) -> Credential:
        return cast("Credential", Fenced(self._fence.call(self._adapter.credential)(api_key), self._fence))


class _FencedPlatform:
    """The live object: its roles, each inside of the fence."""

    def __init__(self, platform: Platform, spec: PlatformSpec, roles: Mapping[str, Any], fence: Fence) -> None:
        self.spec = spec
        self.creator, self.lister, self.containers, self.commands, self.export_jobs = (roles[name] for name in _ROLES)
        self.blueprints, self.changer = (roles[name] for name in _LATER)
        self._platform = platform
        self._fence = fence

    @property
    def server_now_ms(self) -> int:
        with self._fence:
            return self._platform.server_now_ms


def _load(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
