"""The known platforms, and the settings of a run on one of them. Cheap to import; opens nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Unpack

from scalesync.config.base_url import check_base_url
from scalesync.config.settings import Asked, Settings, resolve
from scalesync.platforms import registry
from scalesync.ports.spec import PlatformSpec
from scalesync.text import did_you_mean


def resolve_settings(
    *, need_key: bool = True, environ: Mapping[str, str] = os.environ, **asked: Unpack[Asked]
) -> Settings:
    """Resolve and check the settings of a run; `Asked` lists the possible options.

    need_key: if False, a key in the environment still sets the mode, but no command or keyring is asked.
    Raises ConfigError with a sentence that never holds the key, and TypeError for an unknown option.
    """
    for name in asked.keys() - Asked.__annotations__.keys():
        hint = did_you_mean(name, Asked.__annotations__)
        raise TypeError(f"resolve_settings() has no option {name!r}{hint}")
    return resolve(asked, registry, environ, need_key=need_key)


def over(settings: Settings, version: str) -> Settings:
    """The same settings for another version of the service's API."""
    spec = spec_of(spec_of(settings.platform).apis[version])
    root = check_base_url(settings.base_url, spec, allow_http=settings.allow_http)
    return replace(settings, platform=spec.name, base_url=root, api=version, notes=())


def option_for(platform: str, here: str) -> str:
    """The option that leads from a command about one platform to another: the version of the same API, or the name."""
    apis = spec_of(here).apis if here in registry.names() else {}  # its plug-in may be gone, and its jobs are not
    versions = {name: f"--api {version}" for version, name in apis.items()}
    return versions.get(platform, f"--platform {platform}")


def spec_of(name: str) -> PlatformSpec:
    """The spec of a platform. Raises ConfigError if there is none of that name."""
    return registry.spec_of(name)


def resources_at(name: str) -> object:
    """What the spec of a platform names as its `resources`. Raises ConfigError if there are none."""
    return registry.resources_of(spec_of(name))


class Names(NamedTuple):
    """The names of the program's platforms and of those in other packages."""

    own: Sequence[str]
    plugins: Sequence[str]


def own_platforms() -> Sequence[str]:
    """The names of the program's own platforms. Looks for no package, which takes longer than a command's --help."""
    return list(registry.BUILT_IN)


def platform_names() -> Names:
    """The names of all platforms. Imports nothing."""
    return Names(own_platforms(), registry.PLUGINS.names())


def default_spec() -> PlatformSpec:
    """The platform that is used if no setting names one."""
    return registry.default()


def key_variables() -> list[str]:
    """The environment variables that hold the keys of the program's own platforms."""
    return [spec_of(name).variables.key for name in registry.BUILT_IN]
