"""Sources behind URLs (http, https, s3, gs and what else fsspec knows); nothing secret of one is shown."""

from __future__ import annotations

import importlib
import re
from typing import Any, BinaryIO, cast

from scalesync.errors import ConfigError, SourceError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WEB = ("http", "https")
_BLOCK = 1024 * 1024


def is_url(spec: str) -> bool:
    """True for what begins with a scheme, such as s3://; file:// is a path."""
    return bool(_SCHEME.match(spec)) and not spec.startswith("file://")


def public_name(spec: str) -> str:
    """A source as it may be shown: a URL without credentials, query and fragment; in a path they are plain letters."""
    return re.split(r"[?#]", without_credentials(spec), maxsplit=1)[0] if is_url(spec) else spec


def without_credentials(spec: str) -> str:
    """A source as typed, a URL without user and password. A name before @ that has no password may be a container."""
    if not is_url(spec):
        return spec
    scheme, _, rest = spec.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    if not _is_web(spec) and ":" not in user:
        return spec
    return f"{scheme}://{host}{rest[len(authority) :]}"


def _is_web(url: str) -> bool:
    return url.partition("://")[0].lower() in _WEB


class RemoteFile:
    """A file object whose errors are SourceErrors that do not repeat the URL."""

    def __init__(self, inner: Any, name: str) -> None:
        self._inner = inner
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._inner, attribute)

    def read(self, size: int = -1) -> bytes:
        """Bytes as the inner file gives them."""
        try:
            return cast(bytes, self._inner.read(size))
        except Exception as error:  # every fsspec backend has errors of its own
            raise _trouble(error, self._name) from None

    def close(self) -> None:
        """Close the inner file."""
        self._inner.close()


def open_url(url: str) -> BinaryIO:
    """The URL's bytes. Raises SourceError, or ConfigError when the backend is not installed."""
    name = public_name(url)
    system, path = _system(url)
    try:
        return cast(BinaryIO, RemoteFile(system.open(path, "rb", block_size=_BLOCK), name))
    except Exception as error:
        raise _trouble(error, name) from None


def expand_url(url: str) -> list[str]:
    """The URLs that a pattern with * or [ names, sorted; a plain URL names itself."""
    if _is_web(url) or not any(mark in url for mark in "*["):
        return [url]
    name = public_name(url)
    system, path = _system(url)
    try:
        found = sorted(system.glob(path))
    except Exception as error:
        raise _trouble(error, name) from None
    if not found:
        raise SourceError("matches no file", name)
    return [system.unstrip_protocol(entry) for entry in found]


def _system(url: str) -> tuple[Any, str]:
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError:
        raise ConfigError(f'{public_name(url)}: reading URLs needs fsspec: pip install "scalesync[cloud]"') from None
    scheme = url.partition("://")[0]
    try:
        system, path = core.url_to_fs(url)
    except ImportError as error:
        raise ConfigError(f"{public_name(url)}: reading {scheme}:// needs another package ({error})") from None
    except ValueError:
        raise ConfigError(f"{public_name(url)}: {scheme}:// is no known kind of source") from None
    except Exception as error:
        raise _trouble(error, public_name(url)) from None
    return system, path


def _trouble(error: Exception, name: str) -> SourceError:
    if isinstance(error, SourceError):
        return error
    if isinstance(error, FileNotFoundError):
        return SourceError("there is no such file", name)
    if isinstance(error, PermissionError):
        return SourceError("access is denied (credentials?)", name)
    status = getattr(error, "status", None)
    if status in {401, 403}:
        return SourceError(f"access is denied (status {status}); name it with credentials that hold", name)
    words = f"status {status}" if isinstance(status, int) else type(error).__name__
    return SourceError(f"cannot be read ({words})", name)
