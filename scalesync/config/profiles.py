"""Profiles: named sets of settings in TOML files.

`--profile NAME` reads config/NAME.toml of the working folder, else NAME.toml of the user's config folder. Without it,
`default.toml` of the user's config folder is read if it exists, and only there: a folder of somebody else must not
choose where the key goes, or which command prints it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalesync.errors import ConfigError
from scalesync.text import did_you_mean

DEFAULT_PROFILE = "default"
PROFILE_KEYS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("platform", "api", "base_url", "account", "api_key_env", "api_key_command"), (str,)),
    **dict.fromkeys(("rate", "rate_all"), (str, int, float)),
    "concurrency": (str, int),
    "ledger": (str,),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """The values of one profile, checked by name and type.

    name: None without a profile.
    typed: whether the user named it; then it wins over the environment, which the default profile does not.
    note: a sentence about a default profile that could not be read.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    typed: bool = False
    note: str | None = None


def find_profile(name: str | None) -> Profile:
    """The profile of that name; for None the default profile, if the user has one. Raises ConfigError."""
    if name is not None:
        return Profile(load_profile(name), name, typed=True)
    path = _user_folder() / f"{DEFAULT_PROFILE}.toml"
    try:
        there = path.is_file()
    except PermissionError:  # HOME is that of somebody else, as sudo and containers with --user leave it
        return Profile(note=f"{path.parent} cannot be read, so no default profile is used; is HOME right?")
    return Profile(_load(path), DEFAULT_PROFILE) if there else Profile()


def load_profile(name: str) -> dict[str, Any]:
    """Read config/NAME.toml of the working folder, else of the user's config folder. Raises ConfigError."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ConfigError(f"invalid profile name {name!r}: it is the NAME of config/NAME.toml")
    here = Path("config") / f"{name}.toml"
    there = _user_folder() / f"{name}.toml"
    try:
        return _load(here if here.is_file() else there)
    except FileNotFoundError:
        known = sorted({path.stem for folder in (here.parent, there.parent) for path in folder.glob("*.toml")})
        hint = did_you_mean(name, known)
        raise ConfigError(f"there is no profile {name!r}{hint}: neither {here} nor {there} exists") from None


def _load(path: Path) -> dict[str, Any]:
    """Raises FileNotFoundError, or ConfigError for a file that cannot be used."""
    import tomllib  # noqa: PLC0415  most people have no profile

    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: the profile cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # the parser's own words could quote a key that somebody put there
        raise ConfigError(f"{path}: the profile is not valid TOML in UTF-8") from None
    _check(path, values)
    return values


def _check(path: Path, values: Mapping[str, Any]) -> None:
    if "api_key" in values:
        raise ConfigError(
            f"{path}: `api_key` is refused, keys do not belong in files; "
            "use api_key_env, api_key_command, an environment variable or the system keyring"
        )
    for key, value in values.items():
        wanted = PROFILE_KEYS.get(key)
        if wanted is None:
            hint = did_you_mean(key, PROFILE_KEYS)
            raise ConfigError(f"{path}: unknown key `{key}`{hint}; known are {', '.join(PROFILE_KEYS)}")
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "a string" if wanted == (str,) else "a number or a string"
            raise ConfigError(f"{path}: `{key}` must be {kind}")


def _user_folder() -> Path:
    import platformdirs  # noqa: PLC0415

    return platformdirs.user_config_path("scalesync", appauthor=False)
