"""Settings, resolved and checked once: option, named profile, environment, default profile, default, in this order.

`--profile` counts as typed and wins over the environment; the default profile does not. If a named profile leaves key
or address to the environment, `Settings.notes` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypedDict

from scalesync.addresses import is_address, refused_as_path
from scalesync.config.base_url import check_base_url
from scalesync.config.keys import Origin, find_key
from scalesync.config.profiles import Profile, find_profile
from scalesync.config.versions import Platforms, Wish, chosen, extras_of, other_root
from scalesync.errors import ConfigError
from scalesync.masking import Mask
from scalesync.model.targets import Mode, Target
from scalesync.ports.spec import PlatformSpec

DEFAULT_LEDGER = "scalesync.db"
MAX_CONCURRENCY = 512
# the grammar of engine.limiter.parse_rate (this module must not import it); at least one digit is not zero
_RATE = re.compile(r"auto|(?=[^/]*[1-9])(?:\d+(?:\.\d*)?|\.\d+)\s*(?:/\s*(?:s|sec|second|m|min|minute|h|hour))?")


class Asked(TypedDict, total=False):
    """What a person or a program may ask for; None is the same as not asked.

    task_type: of an import, which may yet choose another version of the API by it; its options are taken as well.
    """

    platform: str | None
    api: str | None
    base_url: str | None
    profile: str | None
    ledger: str | Path | None
    rate: str | None
    rate_all: str | None
    concurrency: str | int | None
    allow_http: bool
    extras: Mapping[str, str] | None
    task_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The connection to an account: what opens it, and its rates.

    ledger: runs on it share set rates.
    rate, rate_all, concurrency, extras, mask: as in `Settings`.
    """

    target: Target
    api_key: str = field(repr=False)
    ledger: Path
    rate: str | None
    rate_all: str | None
    concurrency: int | None
    allow_http: bool
    extras: Mapping[str, Any]
    mask: Mask = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """The settings of a run: the place of its rows, its account, and the connection to that.

    rate None: the default of the platform (`PlatformSpec.limits`). rate_all None: no limit over all classes.
    concurrency None: chosen while running. api_key is empty only if no key was asked for.

    api: the version of the service's API that was asked for; None leaves it to the platform, and an import to its type.
    extras: the platform's own options, from `--with`.
    notes: sentences for a person to read before anything is sent.
    mask: hides the key, and every secret that a run gets for it.
    """

    base_url: str
    api_key: str
    account: str = "default"
    mode: Mode
    ledger: Path
    rate: str | None = None
    rate_all: str | None = None
    concurrency: int | None = None
    profile: str | None = None
    allow_http: bool = False
    platform: str
    api: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    mask: Mask = field(default_factory=Mask, compare=False, repr=False)

    @property
    def target(self) -> Target:
        """The account that the key opens; a job of it may belong to one of its namespaces."""
        return Target(self.base_url, self.mode, self.account, self.platform)

    @property
    def way(self) -> Way:
        """The connection to that account."""
        return Way(
            target=self.target,
            api_key=self.api_key,
            ledger=self.ledger,
            rate=self.rate,
            rate_all=self.rate_all,
            concurrency=self.concurrency,
            allow_http=self.allow_http,
            extras=self.extras,
            mask=self.mask,
        )

    def __repr__(self) -> str:
        shown = ((item.name, getattr(self, item.name)) for item in fields(self) if item.repr)
        body = ", ".join(f"{name}={'***' if name == 'api_key' else repr(value)}" for name, value in shown)
        return f"Settings({body})"


def resolve(asked: Asked, platforms: Platforms, environ: Mapping[str, str], *, need_key: bool) -> Settings:
    """Resolve the settings and check them; the platform comes first, because it names variables and defaults.

    need_key: False runs no command and asks no keyring; a key in the environment still sets the mode.
    Raises ConfigError with a sentence that never holds the key.
    """
    profile = find_profile(asked.get("profile"))
    values = profile.values
    found = _platform(asked, profile, environ, platforms)
    typed, kept = (Wish(place.get("platform"), place.get("api")) for place in (asked, values))
    spec, api = chosen(found, typed, kept, platforms)
    other = None if api is not None else spec.api_of_types.get(asked.get("task_type") or "")
    address, address_from = _address(asked.get("base_url"), profile, environ, spec)
    allow_http = asked.get("allow_http", False)
    root = check_base_url(address, spec, allow_http=allow_http)
    account = _account(values.get("account", "default"))
    key, key_from = find_key(profile, account, environ, spec.variables.key, ask=need_key)
    mode = spec.mode_of(key)
    taken = {
        f"the {mode} key of {spec.variables.key}": key_from,
        f"the address of {spec.variables.url}, {root}": address_from,
    }
    return Settings(
        platform=spec.name,
        api=api,
        base_url=root,
        api_key=key,
        account=account,
        mode=mode,
        ledger=_ledger(_first(asked.get("ledger"), values.get("ledger"), DEFAULT_LEDGER)),
        rate=_rate("rate", _first(asked.get("rate"), values.get("rate"))),
        rate_all=_total(_rate("rate-all", _first(asked.get("rate_all"), values.get("rate_all")))),
        concurrency=_concurrency(_first(asked.get("concurrency"), values.get("concurrency"))),
        profile=asked.get("profile"),
        allow_http=allow_http,
        extras=extras_of(asked.get("extras") or {}, spec, other, platforms),
        notes=(*_notes(profile, taken), *(() if other else other_root(root, spec, api, platforms))) if need_key else (),
    )


def _first(*found: Any) -> Any:
    """The first that is not None, in the order of precedence."""
    return next((value for value in found if value is not None), None)


def _platform(asked: Asked, profile: Profile, environ: Mapping[str, str], platforms: Platforms) -> PlatformSpec:
    """The named platform, else the one of this address, else the default."""
    name = _first(asked.get("platform"), profile.values.get("platform"))
    if name is not None:
        return platforms.spec_of(name)
    usual = platforms.default()
    address, _ = _address(asked.get("base_url"), profile, environ, usual)
    return platforms.spec_at(address) or usual


def _address(typed: str | None, profile: Profile, environ: Mapping[str, str], spec: PlatformSpec) -> tuple[str, Origin]:
    """The API address as written, and its source."""
    named = profile.values.get("base_url")
    if typed is not None:
        return typed, Origin.TYPED
    if named is not None and profile.typed:
        return named, Origin.PROFILE
    if ambient := environ.get(spec.variables.url):
        return ambient, Origin.ENVIRONMENT
    if named is not None:
        return named, Origin.PROFILE
    if spec.default_url is None:
        raise ConfigError(
            f"no API address: each installation of {spec.title} has its own; set {spec.variables.url}, or give it with"
            " --base-url or in a profile (base_url)"
        )
    return spec.default_url, Origin.DEFAULT


def _notes(profile: Profile, taken: Mapping[str, Origin]) -> tuple[str, ...]:
    """One line if a profile and the environment share key and address.

    taken: in words -> its source.
    """
    if profile.note is not None:
        return (profile.note,)
    ambient = [what for what, origin in taken.items() if origin is Origin.ENVIRONMENT]
    if not ambient or profile.name is None:
        return ()
    if profile.typed:
        return (f"profile {profile.name!r} leaves to the environment: {' and '.join(ambient)}",)
    if Origin.PROFILE not in taken.values():
        return ()
    return (f"your default profile is used with {ambient[0]}: the environment wins over it",)


def _account(label: str) -> str:
    if not label.strip() or not label.isprintable():
        raise ConfigError("the profile's account must be a short printable label")
    return label


def _ledger(path: str | Path) -> Path:
    if not str(path):
        raise ConfigError("the ledger needs a file name")
    if is_address(str(path)):
        raise ConfigError(f"the ledger {refused_as_path(str(path))}")
    return Path(path).expanduser()


def _rate(name: str, value: str | float | None) -> str | None:
    if value is None:
        return None
    text = str(value).strip().lower()
    if _RATE.fullmatch(text) is None:
        raise ConfigError(f"invalid {name} {text!r}; use 30, 0.5, 5/s, 100/min, 3600/h or auto")
    return text


def _total(rate: str | None) -> str | None:
    return None if rate == "auto" else rate


def _concurrency(value: str | int | None) -> int | None:
    if value is None or value == "auto":
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CONCURRENCY):
        raise ConfigError(f"invalid concurrency {text!r}; use auto or a whole number from 1 to {MAX_CONCURRENCY}")
    return int(text)
