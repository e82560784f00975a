"""Settings, resolved and checked once: option, named profile, environment, default profile, default, in this order.

What was typed wins over what is ambient: `--profile` is typed, the environment and the default profile are not. Where a
named profile leaves key or address to the environment, `Settings.notes` says so.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from scalesync.config.keys import KEY_VARIABLE, Origin, find_key
from scalesync.config.profiles import Profile, find_profile
from scalesync.errors import ConfigError
from scalesync.model.targets import Mode, Target
from scalesync.text import did_you_mean

PLATFORMS = ("scale",)
DEFAULT_PLATFORM = "scale"
DEFAULT_BASE_URL = "https://api.scale.com/v1"
DEFAULT_LEDGER = "scalesync.db"
MAX_CONCURRENCY = 512
SCALE_HOST = "api.scale.com"
SCALE_CREATES = "30"  # creates per second, the only rate Scale publishes
URL_VARIABLE = "SCALE_API_URL"
# the grammar of engine.limiter.parse_rate, which lies above this module; one non-zero digit is a must
_RATE = re.compile(r"auto|(?=[^/]*[1-9])(?:\d+(?:\.\d*)?|\.\d+)\s*(?:/\s*(?:s|sec|second|m|min|minute|h|hour))?")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """Everything a flow needs to know of its surroundings.

    rate None: the host's default (`default_rate`). rate_all None: no limit over all classes.
    concurrency None: chosen while running. api_key is empty only where no key was asked for.
    notes: sentences that a person should read before anything is sent.
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
    platform: str = DEFAULT_PLATFORM
    notes: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """Where this run's rows belong."""
        return Target(self.base_url, self.mode, self.account)

    def __repr__(self) -> str:
        shown = ((item.name, getattr(self, item.name)) for item in fields(self))
        body = ", ".join(f"{name}={'***' if name == 'api_key' else repr(value)}" for name, value in shown)
        return f"Settings({body})"


def resolve_settings(
    *,
    platform: str | None = None,
    base_url: str | None = None,
    profile: str | None = None,
    ledger: str | Path | None = None,
    rate: str | None = None,
    rate_all: str | None = None,
    concurrency: str | int | None = None,
    allow_http: bool = False,
    need_key: bool = True,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Put the settings together and check them.

    need_key=False: a key in the environment still tells the mode, but no command or keyring is asked.
    Raises ConfigError with a sentence that never holds the key.
    """
    chosen = find_profile(profile)
    values = chosen.values
    address, address_from = _address(base_url, chosen, environ)
    root = check_base_url(address, allow_http=allow_http)
    account = _account(values.get("account", "default"))
    key, key_from = find_key(chosen, account, environ, ask=need_key)
    mode = mode_of(key)
    taken = {f"the {mode} key of {KEY_VARIABLE}": key_from, f"the address of {URL_VARIABLE}, {root}": address_from}
    return Settings(
        platform=_platform(_first(platform, values.get("platform"), DEFAULT_PLATFORM)),
        base_url=root,
        api_key=key,
        account=account,
        mode=mode,
        ledger=_ledger(_first(ledger, values.get("ledger"), DEFAULT_LEDGER)),
        rate=_rate("rate", _first(rate, values.get("rate"))),
        rate_all=_total(_rate("rate-all", _first(rate_all, values.get("rate_all")))),
        concurrency=_concurrency(_first(concurrency, values.get("concurrency"))),
        profile=profile,
        allow_http=allow_http,
        notes=_notes(chosen, taken) if need_key else (),
    )


def _first(*found: Any) -> Any:
    """The first that is not None, in the order of precedence."""
    return next((value for value in found if value is not None), None)


def _address(typed: str | None, profile: Profile, environ: Mapping[str, str]) -> tuple[str, Origin]:
    """The API address as it was written, and where it comes from."""
    named = profile.values.get("base_url")
    if typed is not None:
        return typed, Origin.TYPED
    if named is not None and profile.typed:
        return named, Origin.PROFILE
    if ambient := environ.get(URL_VARIABLE):
        return ambient, Origin.ENVIRONMENT
    return (DEFAULT_BASE_URL, Origin.DEFAULT) if named is None else (named, Origin.PROFILE)


def _notes(profile: Profile, taken: Mapping[str, Origin]) -> tuple[str, ...]:
    """One line where a profile and the environment share key and address. taken: in words -> where it comes from."""
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


def default_rate(base_url: str) -> str:
    """The rate where none was asked for: Scale's published 30 creates a second, elsewhere found by trying."""
    return SCALE_CREATES if urlsplit(base_url).hostname == SCALE_HOST else "auto"


def check_base_url(text: str, *, allow_http: bool = False) -> str:
    """The v1 root in one spelling: lower-case host, no default port, no trailing slash."""
    if "@" in text or "?" in text or "#" in text:
        raise ConfigError(
            "the API address must not hold a user name, password, query or fragment; "
            "give the v1 root, such as https://api.scale.com/v1"
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError("the API address holds spaces, control characters or letters outside ASCII")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"invalid API address {text!r}: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"the API address {text!r} must be a URL such as https://api.scale.com/v1")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigError(
            f"the API address {text!r} would send the key unencrypted; use https, or --allow-http if you must"
        )
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        shown = f"{shown}:{port}"
    return SplitResult(parts.scheme, shown, parts.path.rstrip("/"), "", "").geturl()


def is_loopback(host: str) -> bool:
    """Whether this name or address cannot leave the machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mode_of(key: str) -> Mode:
    """The world a key opens, told by its spelling alone."""
    return Mode.TEST if key.startswith("test_") or key.endswith("|test") else Mode.LIVE


def _platform(name: str) -> str:
    if name not in PLATFORMS:
        hint = did_you_mean(name, PLATFORMS)
        raise ConfigError(f"there is no platform {name!r}{hint}; this version has {', '.join(PLATFORMS)}")
    return name


def _account(label: str) -> str:
    if not label.strip() or not label.isprintable():
        raise ConfigError("the profile's account must be a short printable label")
    return label


def _ledger(path: str | Path) -> Path:
    if not str(path):
        raise ConfigError("the ledger needs a file name")
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
