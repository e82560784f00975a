"""Sources behind URLs (http, https, s3, gs and others that fsspec knows); their secrets are never shown."""

from __future__ import annotations

import glob
import importlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

from scalesync.addresses import is_web, public_name
from scalesync.errors import ConfigError, SourceError
from scalesync.file_names import is_hidden, is_of_the_system
from scalesync.outputs.manifest import NAME as MANIFEST
from scalesync.sources.places.downloaded import BLOCK, Downloaded
from scalesync.sources.places.passed_over import PassedOver, Reason
from scalesync.sources.places.ranged import RangedFile, WebFile, fetch
from scalesync.sources.places.written import LEVELS, ExportFolder, is_report_line, reasons_of
from scalesync.sources.registry import suffix_format

_ABSENT = frozenset({404, 410})
_DENIED = frozenset({401, 403})
_HEAD = 64 * 1024  # bytes in which the first line of a report of ours ends


def known_as(url: str) -> str:
    """The identity of a URL that is read: stores write the slashes of one path in several ways; for web servers they
    differ.
    """
    return url if is_web(url) else re.sub("/+", "/", url)


class RemoteFile:
    """A file object that raises SourceErrors, which do not repeat the URL."""

    def __init__(self, inner: Any, name: str) -> None:
        self._inner = inner
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._inner, attribute)

    def read(self, size: int = -1) -> bytes:
        """Bytes of the inner file."""
        try:
            return cast(bytes, self._inner.read(size))
        except Exception as error:  # every fsspec backend has errors of its own
            raise _trouble(error, self._name) from None

    def close(self) -> None:
        """Close the inner file."""
        self._inner.close()


def open_url(url: str) -> BinaryIO:
    """The URL's bytes. Raises SourceError, or ConfigError if the backend is not installed."""
    name = public_name(url)
    system, path = _system(url)
    try:
        file = _open_web(system, path, name) if is_web(url) else system.open(path, "rb", block_size=BLOCK)
        return cast(BinaryIO, RemoteFile(file, name))
    except Exception as error:
        raise _trouble(error, name) from None


def _open_web(system: Any, path: str, name: str) -> RangedFile | Downloaded:
    run = importlib.import_module("fsspec.asyn").sync
    file = WebFile(system, path, name)
    first = run(system.loop, fetch, file, 0, BLOCK)
    return Downloaded(system.open(path, "rb", block_size=0), name) if first is None else RangedFile(file, first)


def expand_url(url: str, passed: PassedOver) -> list[str]:
    """The URLs of files that a pattern with * or [ matches, sorted; a plain URL is itself.

    It skips hidden names and files that scalesync wrote, as in local patterns.
    """
    if is_web(url) or not any(mark in url for mark in "*["):
        return [url]
    name = public_name(url)
    system, path = _system(url)
    try:
        found = sorted(entry for entry, info in system.glob(path, detail=True).items() if info["type"] == "file")
        kept = [system.unstrip_protocol(entry) for entry in _Kept(system, path, found, passed)]
    except Exception as error:
        raise _trouble(error, name) from None
    if not kept:
        left = f" that is read ({passed}; name one exactly to read it)" if passed else ""
        raise SourceError(f"matches no file{left}", name)
    return kept


class _Kept:
    """Iterates over the paths in a store that are read.

    pattern: the one that they matched.
    """

    def __init__(self, system: Any, pattern: str, found: Sequence[str], passed: PassedOver) -> None:
        self._system = system
        self._fixed = [part for part in pattern.split("/") if not glob.has_magic(part)]
        self._marks = {part[0] for part in pattern.split("/") if part and glob.has_magic(part)}
        self._found = frozenset(found)
        self._passed = passed
        self._exports: dict[str, ExportFolder | None] = {}

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._found):
            reason = self._reason(path)
            if reason is None:
                yield path
            else:
                self._passed.add(reason, path)

    def _reason(self, path: str) -> Reason | None:
        *folders, name = path.split("/")
        for part in (*folders, name):
            if part in self._fixed:
                continue
            if is_hidden(part) and part[0] not in self._marks:
                return Reason.HIDDEN
            if is_of_the_system(part):
                return Reason.SYSTEM
        return Reason.OURS if self._is_listed(path) or self._tells(path) else None

    def _is_listed(self, path: str) -> bool:
        """Whether one of our manifests, in the file's folder or the next three above, lists it."""
        folder, _, inside = path.rpartition("/")
        for _ in range(LEVELS):
            if not folder:
                break
            if folder not in self._exports:
                self._exports[folder] = self._export(f"{folder}/{MANIFEST}")
            export = self._exports[folder]
            if export is not None and export.holds(inside):
                return True
            folder, _, last = folder.rpartition("/")
            inside = f"{last}/{inside}"
        return False

    def _export(self, path: str) -> ExportFolder | None:
        try:
            return ExportFolder.of(self._system.cat_file(path))
        except FileNotFoundError:
            return None

    def _tells(self, path: str) -> bool:
        """Whether a file of lines is one of our reports, or is beside one about its lines."""
        if suffix_format(path) != "jsonl":
            return False
        beside = (reasons for reasons in reasons_of(path) if reasons in self._found)
        return any(is_report_line(self._head(file)) for file in (*beside, path))

    def _head(self, path: str) -> bytes:
        head: bytes = self._system.cat_file(path, start=0, end=_HEAD)
        return head


def _system(url: str) -> tuple[Any, str]:
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError:
        raise ConfigError(f'{public_name(url)}: reading URLs needs fsspec: pip install "scalesync[cloud]"') from None
    scheme = url.partition("://")[0]
    try:
        system, path = core.url_to_fs(url, **_options(url))
    except ImportError as error:
        raise ConfigError(f"{public_name(url)}: reading {scheme}:// needs another package ({error})") from None
    except ValueError:
        raise ConfigError(f"{public_name(url)}: {scheme}:// is not a known kind of source") from None
    except Exception as error:
        raise _trouble(error, public_name(url)) from None
    return system, path


def _options(url: str) -> dict[str, Any]:
    """For web servers: aiohttp ends a download after five minutes, even if it progresses; a silent one ends here."""
    if not is_web(url):
        return {}
    aiohttp = importlib.import_module("aiohttp")
    return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=30.0, sock_read=60.0)}}


def _trouble(error: Exception, name: str) -> SourceError:
    if isinstance(error, SourceError):
        return error
    if isinstance(error, FileNotFoundError):
        cause = error.__cause__ or error.__context__  # fsspec calls whatever the web answers "not found"
        if not isinstance(cause, Exception) or getattr(cause, "status", None) in _ABSENT:
            return SourceError("there is no such file", name)
        return _trouble(cause, name)
    if isinstance(error, PermissionError):
        return SourceError("access is denied (credentials?)", name)
    status = getattr(error, "status", None)
    if status in _ABSENT:
        return SourceError("there is no such file", name)
    if status in _DENIED:
        return SourceError(
            f"access is denied (status {status}): a signed link may have expired; name it with credentials that hold",
            name,
        )
    words = f"status {status}" if isinstance(status, int) and status else type(error).__name__
    if status == 400:
        words += "; some stores answer so when a signed link has expired"
    if words.startswith("ClientConnector"):
        words = "its host cannot be reached"
    return SourceError(f"cannot be read ({words})", name)
