"""Settings, resolved and checked once: flag, else environment, else profile, else default.

The API key never comes from an argument or from a file that scalesync reads: SCALE_API_KEY, a variable or a
command that a profile names, or the system keyring.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from scalesync.errors import ConfigError
from scalesync.model import Mode, Target

DEFAULT_BASE_URL = "https://api.scale.com/v1"
DEFAULT_LEDGER = "scalesync.db"
MAX_CONCURRENCY = 512
KEY_COMMAND_LIMIT_S = 30.0
SCALE_HOST = "api.scale.com"
SCALE_CREATES = "30"  # creates per second, the only rate Scale publishes
PROFILE_KEYS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("base_url", "account", "api_key_env", "api_key_command"), (str,)),
    **dict.fromkeys(("rate", "rate_all"), (str, int, float)),
    "concurrency": (str, int),
    "ledger": (str,),
}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")  # as people name environment variables; keys hold small letters
# the grammar of engine.limiter.parse_rate, which lies above this module; one non-zero digit is a must
_RATE = re.compile(r"auto|(?=[^/]*[1-9])(?:\d+(?:\.\d*)?|\.\d+)\s*(?:/\s*(?:s|sec|second|m|min|minute|h|hour))?")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """Everything a flow needs to know of its surroundings.

    rate None: the host's default (`default_rate`). rate_all None: no limit over all classes.
    concurrency None: chosen while running. api_key is empty only where no key was asked for.
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
    chosen = {} if profile is None else load_profile(profile)
    address = base_url if base_url is not None else environ.get("SCALE_API_URL") or chosen.get("base_url")
    account = _account(chosen.get("account", "default"))
    key = _find_key(chosen, profile, account, environ, ask=need_key)
    return Settings(
        base_url=check_base_url(DEFAULT_BASE_URL if address is None else address, allow_http=allow_http),
        api_key=key,
        account=account,
        mode=mode_of(key),
        ledger=_ledger(ledger if ledger is not None else chosen.get("ledger", DEFAULT_LEDGER)),
        rate=_rate("rate", rate if rate is not None else chosen.get("rate")),
        rate_all=_total(_rate("rate-all", rate_all if rate_all is not None else chosen.get("rate_all"))),
        concurrency=_concurrency(concurrency if concurrency is not None else chosen.get("concurrency")),
        profile=profile,
        allow_http=allow_http,
    )


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
        raise ConfigError(f"the API address {text!r} is no URL: {error}") from error
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


def load_profile(name: str) -> dict[str, Any]:
    """Read config/NAME.toml of the working folder, else of the user's config folder."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ConfigError(f"profile {name!r} is no plain name; it stands for config/NAME.toml")
    here = Path("config") / f"{name}.toml"
    there = _user_folder() / f"{name}.toml"
    path = here if here.is_file() else there
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"profile {name!r} is unknown: neither {here} nor {there} exists") from None
    except OSError as error:
        raise ConfigError(f"{path}: the profile cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # the parser's own words could quote a key that somebody put there
        raise ConfigError(f"{path}: the profile is not valid TOML in UTF-8") from None
    _check_profile(path, values)
    return values


def mode_of(key: str) -> Mode:
    """The world a key opens, told by its spelling alone."""
    return Mode.TEST if key.startswith("test_") or key.endswith("|test") else Mode.LIVE


def _find_key(
    profile: Mapping[str, Any], name: str | None, account: str, environ: Mapping[str, str], *, ask: bool
) -> str:
    variable = profile.get("api_key_env")
    for source in ("SCALE_API_KEY", variable):
        if source and (key := environ.get(source)):
            return _checked_key(key, "SCALE_API_KEY" if source != variable else f"profile {name!r}: api_key_env")
    if not ask:
        return ""
    if "api_key_command" in profile:
        where = f"profile {name!r}: api_key_command"
        return _checked_key(_key_from_command(profile["api_key_command"], where), where)
    if variable:
        raise ConfigError(_not_set(name, variable))
    if key := _key_from_keyring(account):
        return _checked_key(key, "system keyring")
    raise ConfigError(
        "no API key: set SCALE_API_KEY, or name a source in a profile (api_key_env or api_key_command), or put "
        f"it into the system keyring (`keyring set scalesync {account}`, with scalesync[keyring] installed)"
    )


def _not_set(profile: str | None, variable: str) -> str:
    if _VARIABLE.fullmatch(variable):
        return f"profile {profile!r} takes the API key from {variable}, which is not set"
    # Keys are put there by mistake, so what does not look like a name is not shown.
    told = f"profile {profile!r}: api_key_env names no variable that is set"
    return f"{told}; give it the name of one, such as SCALE_API_KEY, and never the key itself"


def _checked_key(key: str, where: str) -> str:
    if not key:
        raise ConfigError(f"{where}: the API key is empty; it must print the key and nothing else")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{where}: the API key holds a space, line break or non-ASCII letter; was too much copied?")
    return key


def _key_from_command(command: str, where: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"{where} has an unclosed quote") from error
    if not words:
        raise ConfigError(f"{where} is empty")
    try:
        with subprocess.Popen(  # noqa: S603 - the user's own command, run without a shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                output, _ = process.communicate(timeout=KEY_COMMAND_LIMIT_S)
            except BaseException:
                process.kill()
                raise
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{where} gave no key within {KEY_COMMAND_LIMIT_S:g} s") from None
    except OSError as error:
        raise ConfigError(f"{where} cannot run {words[0]!r}: {error.strerror}") from None
    if process.returncode:
        raise ConfigError(f"{where} failed with exit code {process.returncode}; run it by hand to see why")
    return output.decode("utf-8", "replace").strip()


def _key_from_keyring(account: str) -> str | None:
    try:
        import keyring  # noqa: PLC0415
        import keyring.errors  # noqa: PLC0415
    except ImportError:
        return None
    try:
        key: str | None = keyring.get_password("scalesync", account)
    except keyring.errors.KeyringError:
        return None
    return key


def _user_folder() -> Path:
    import platformdirs  # noqa: PLC0415

    return platformdirs.user_config_path("scalesync", appauthor=False)


def _check_profile(path: Path, values: Mapping[str, Any]) -> None:
    if "api_key" in values:
        raise ConfigError(
            f"{path}: `api_key` is refused, keys do not belong in files; "
            "use api_key_env, api_key_command, SCALE_API_KEY or the system keyring"
        )
    for key, value in values.items():
        wanted = PROFILE_KEYS.get(key)
        if wanted is None:
            raise ConfigError(f"{path}: unknown key `{key}`; known are {', '.join(PROFILE_KEYS)}")
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "a text" if wanted == (str,) else "a number or a text"
            raise ConfigError(f"{path}: `{key}` must be {kind}")


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
        raise ConfigError(f"{name} {text!r} is no rate; write 30, 0.5, 5/s, 100/min, 3600/h or auto")
    return text


def _total(rate: str | None) -> str | None:
    return None if rate == "auto" else rate


def _concurrency(value: str | int | None) -> int | None:
    if value is None or value == "auto":
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CONCURRENCY):
        raise ConfigError(f"concurrency {text!r} is not auto or a whole number from 1 to {MAX_CONCURRENCY}")
    return int(text)
