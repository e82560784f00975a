"""The source of the API key. It is never an argument and never in a file that scalesync reads.

named profile: api_key_env, api_key_command  >  the platform's variable  >  default profile  >  system keyring
"""

from __future__ import annotations

import re
import shlex
import subprocess
import threading
from collections.abc import Mapping
from enum import Enum

from scalesync.config.profiles import Profile
from scalesync.errors import ConfigError

KEY_COMMAND_LIMIT_S = 30.0
KEYRING_LIMIT_S = 60.0  # a person may have to type a password into its window
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")  # as people name environment variables; keys hold small letters


class Origin(Enum):
    """The source of a setting."""

    TYPED = "typed"
    PROFILE = "profile"
    ENVIRONMENT = "environment"
    KEYRING = "keyring"
    DEFAULT = "default"


def find_key(
    profile: Profile, account: str, environ: Mapping[str, str], variable: str, *, ask: bool
) -> tuple[str, Origin]:
    """The API key and its source.

    variable: of the environment, for the platform's key.
    ask: False runs no command and asks no keyring; the key is empty if only they could provide it.
    Raises ConfigError, with a sentence that never holds the key.
    """
    ambient = environ.get(variable, "")
    named = "api_key_env" in profile.values or "api_key_command" in profile.values
    if ambient and not (profile.typed and named):
        return _checked(ambient, variable), Origin.ENVIRONMENT
    if named:
        return _from_profile(profile, environ, variable, ask=ask), Origin.PROFILE
    if not ask:
        return "", Origin.DEFAULT
    if key := _from_keyring(account, variable):
        return _checked(key, "system keyring"), Origin.KEYRING
    raise ConfigError(
        f"no API key: set {variable}, or name a source in a profile (api_key_env or api_key_command), or put "
        f"it into the system keyring (`keyring set scalesync {account}`, with scalesync[keyring] installed)"
    )


def _from_profile(profile: Profile, environ: Mapping[str, str], usual: str, *, ask: bool) -> str:
    named, command = profile.values.get("api_key_env"), profile.values.get("api_key_command")
    if named and (key := environ.get(named)):
        return _checked(key, f"profile {profile.name!r}: api_key_env")
    if not ask:
        return ""
    if command is not None:
        where = f"profile {profile.name!r}: api_key_command"
        return _checked(_from_command(command, where), where)
    raise ConfigError(_not_set(profile.name, str(named), usual))


def _not_set(profile: str | None, named: str, usual: str) -> str:
    if _VARIABLE.fullmatch(named):
        return f"profile {profile!r} takes the API key from {named}, which is not set"
    # Keys are put there by mistake, so what does not look like a name is not shown.
    told = f"profile {profile!r}: api_key_env names no variable that is set"
    return f"{told}; give it the name of one, such as {usual}, and never the key itself"


def _checked(key: str, where: str) -> str:
    if not key:
        raise ConfigError(f"{where}: the API key is empty; it must print the key and nothing else")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{where}: the API key holds a space, line break or non-ASCII letter; was too much copied?")
    return key


def _from_command(command: str, where: str) -> str:
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


def _from_keyring(account: str, variable: str) -> str | None:
    try:
        import keyring  # noqa: PLC0415
        import keyring.errors  # noqa: PLC0415
    except ImportError:
        return None
    found: list[str | None] = []
    trouble: list[Exception] = []

    def ask() -> None:
        try:
            found.append(keyring.get_password("scalesync", account))
        except keyring.errors.NoKeyringError:
            found.append(None)
        except Exception as error:  # each backend has errors of its own
            trouble.append(error)

    # Without a desktop, a backend may wait for ever for a window that nobody can see: a thread can be left behind.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(KEYRING_LIMIT_S)
    if found:
        return found[0]
    why = f"failed ({type(trouble[0]).__name__})" if trouble else f"gave no answer within {KEYRING_LIMIT_S:g} s"
    raise ConfigError(f"the system keyring {why}; unlock it, or set {variable}")
