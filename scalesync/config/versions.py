"""Which version of a service's API is meant, by names, by the address, and by options that one version alone has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from scalesync.errors import ConfigError
from scalesync.ports.spec import PlatformSpec
from scalesync.text import did_you_mean, either


class Platforms(Protocol):
    """The platforms there are."""

    def spec_of(self, name: str) -> PlatformSpec:
        """A platform by its name. Raises ConfigError if there is none."""

    def spec_at(self, base_url: str) -> PlatformSpec | None:
        """The platform whose own API has this address."""

    def default(self) -> PlatformSpec:
        """The default platform."""


class Wish(NamedTuple):
    """What one place asks for, such as the command line or a profile."""

    platform: str | None
    api: str | None


def chosen(found: PlatformSpec, typed: Wish, profile: Wish, platforms: Platforms) -> tuple[PlatformSpec, str | None]:
    """The platform, and the version that was asked for; None where nobody asked.

    found: the platform that was named, typed or in the profile, or that the address has.

    What is typed wins over the profile. Raises ConfigError for a version that is not there, and where one place names a
    version and the platform of another one.
    """
    api = profile.api if typed.api is None else typed.api
    if api is None:
        return found, None
    wanted = platforms.spec_of(_version(found, api))
    if wanted is found or found.name == next(iter(found.apis.values())):
        return wanted, api  # the first one's name is the service's as well
    both = typed if typed.api is not None else profile
    if both.platform is not None:
        raise ConfigError(
            f"platform {found.name} is API {found.version} of its service, so it contradicts API {api}; leave one of"
            " them out"
        )
    return (wanted, api) if typed.api is not None else (found, found.version)


def _version(spec: PlatformSpec, api: str) -> str:
    """The platform that is this version of a service's API."""
    if not spec.apis:
        raise ConfigError(f"scalesync knows one API of {spec.title}; leave --api out")
    if api not in spec.apis:
        raise ConfigError(f"{spec.title} has no API {api!r}; --api takes {either(spec.apis)}")
    return spec.apis[api]


def extras_of(typed: Mapping[str, str], spec: PlatformSpec, other: str | None, platforms: Platforms) -> dict[str, Any]:
    """The platform's own options, parsed.

    other: a version that the command may yet choose; its options count as well.
    """
    known = {**(platforms.spec_of(spec.apis[other]).options if other else {}), **spec.options}
    found = {}
    for name, text in typed.items():
        option = known.get(name)
        if option is None:
            raise no_option(name, spec, platforms.spec_of)
        try:
            found[name] = option.parse(text)
        except ValueError as error:
            raise ConfigError(f"invalid --with {name}={text}: {error}") from None
    return found


def no_option(name: str, spec: PlatformSpec, spec_of: Callable[[str], PlatformSpec]) -> ConfigError:
    """The error for an option that the platform does not have, with what to do."""
    way_out = f"use {', '.join(spec.options)}" if spec.options else "leave --with out"
    for version, platform in spec.apis.items():
        if name in spec_of(platform).options:
            way_out = f"--api {version} has it"
    return ConfigError(f"{spec.title} has no option {name!r}{did_you_mean(name, spec.options)}; {way_out}")


def other_root(root: str, spec: PlatformSpec, api: str | None, platforms: Platforms) -> tuple[str, ...]:
    """A sentence for an address that ends like the root of another version; none for any other address."""
    for version, name in spec.apis.items():
        end = urlsplit(platforms.spec_of(name).root_like).path
        if name != spec.name and root.endswith(end):
            right = root.removesuffix(end) + urlsplit(spec.root_like).path
            choose = "" if api is not None else f", or choose --api {version}"
            return (
                f"the address {root} ends in {end} and is taken for the {spec.root} all the same; give {right}{choose}",
            )
    return ()
