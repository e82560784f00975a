"""`manifest.json`: the content of an export folder. Its rename is the one commit point of files and watermark."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from scalesync.disk import output_error, sync_folder, unusable_folder
from scalesync.errors import ConfigError
from scalesync.file_names import is_of_the_system
from scalesync.model.records import JsonObject
from scalesync.outputs.encoders.registry import is_data_name

NAME = "manifest.json"
PART = ".part-"
RESPONSES = "responses"
VERSION = 1
STAGES = "stages"  # parts of tasks that were delivered apart
STEMS = ("tasks", "left", STAGES)
PLATFORM = "platform"
LAYOUT = "layout"
TASKS = "tasks/"  # holds only data files of tasks, for programs that read a whole folder
_OWN = ("files", "filters", "watermark", "version", "job", "target", "mode", "started_at", "finished_at", RESPONSES)


class _StoredEntry(msgspec.Struct):
    """A file in the form of manifest and ledger."""

    path: str
    rows: int
    bytes: int
    sha256: str
    route: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One finished file.

    path: relative to the manifest.
    bytes: size on the disk.
    sha256: of the bytes on the disk, hex.
    kind: None for tasks; "left" for the ids of tasks that no longer match, "stages" for what was delivered apart.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    route: str | None = None
    kind: str | None = None

    def to_json(self) -> JsonObject:
        """The form in the manifest; without a route or kind that is not set."""
        entry: JsonObject = {"path": self.path, "rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}
        extra = {"route": self.route, "kind": self.kind}
        return entry | {name: value for name, value in extra.items() if value is not None}

    @classmethod
    def from_json(cls, value: Any) -> FileEntry:
        """Read the form in the manifest, ignoring unknown names. Raises ValueError if the value is not an entry."""
        try:
            stored = msgspec.convert(value, _StoredEntry)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        return cls(stored.path, stored.rows, stored.bytes, stored.sha256, stored.route, stored.kind)


def _no_responses() -> JsonObject:
    return {"files": []}


@dataclass(slots=True)
class Manifest:
    """The committed state of an export folder.

    watermark, started_at, finished_at: server time in ISO 8601.
    responses: {"files": [...]}, one entry for each downloaded response.
    extra: members that this version does not know; it writes them back unchanged.
    """

    job: str
    target: str
    mode: str
    filters: JsonObject = field(default_factory=dict)
    watermark: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    files: list[FileEntry] = field(default_factory=list)
    responses: JsonObject = field(default_factory=_no_responses)
    extra: JsonObject = field(default_factory=dict)
    version: int = VERSION

    def to_json(self) -> JsonObject:
        """Members in a stable order: files, filters and watermark first."""
        own: JsonObject = {name: getattr(self, name) for name in _OWN}
        own["files"] = [entry.to_json() for entry in self.files]
        return own | {name: value for name, value in self.extra.items() if name not in own}

    @property
    def platform(self) -> str | None:
        """The platform of the tasks; None in a manifest from the time of one platform."""
        return self.extra.get(PLATFORM)

    def paths(self) -> set[str]:
        """Every file listed, relative to the folder."""
        listed = {entry.path for entry in self.files}
        return listed | {entry["path"] for entry in self.responses.get("files", ()) if "path" in entry}

    def commit(self, folder: Path) -> None:
        """Replace the folder's manifest by this one, atomically and durably.

        The caller makes the listed files durable first. Raises DiskFull or another ScalesyncError; then the old
        manifest is still in place.
        """
        part = folder / f"{PART}{NAME}"
        try:
            with open(part, "w", encoding="utf-8") as file:
                json.dump(self.to_json(), file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, folder / NAME)
            sync_folder(folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise output_error(folder, error) from error


def hidden(folder: Path, name: str) -> Path:
    """The hidden path of a file while it is written. A complete file is renamed to its own name."""
    return folder / f"{PART}{name.rpartition('/')[2]}"


def under_of(manifest: Manifest | None) -> str:
    """The sub-folder for data files: `tasks/`, or "" in a folder that an older version began."""
    return TASKS if manifest is None or manifest.extra.get(LAYOUT) else ""


def load(folder: Path) -> Manifest | None:
    """The folder's manifest; None if there is none. Raises ConfigError if it cannot be read."""
    path = folder / NAME
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); restore it or choose another --out") from error
    try:
        return _manifest(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: is not a manifest of scalesync ({error}); choose another --out") from error


def _manifest(value: Any) -> Manifest:
    version = value["version"]
    if not isinstance(version, int) or version > VERSION:
        raise ValueError(f"version {version}, this program knows {VERSION}; a newer scalesync wrote it")
    own = {name: value[name] for name in _OWN if name in value}
    if not all(isinstance(own[name], str) for name in ("job", "target", "mode")):
        raise ValueError("job, target and mode must be strings")
    own["files"] = [FileEntry.from_json(entry) for entry in value["files"]]
    manifest = Manifest(**own, extra={name: member for name, member in value.items() if name not in _OWN})
    manifest.paths()
    return manifest


def check_folder(folder: Path, job: str, *, stems: Collection[str] = STEMS, begun: bool = True) -> Manifest | None:
    """Check that the folder exists and belongs to this job. Returns its manifest.

    It creates a missing folder (0755).

    begun: whether the job has run before. If not, a data file that no manifest lists is not ours, whatever its name.
        Hidden files and files that systems leave in folders do not count.
    Raises a ConfigError that names the file in the way, or says why the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        names = _names_in(folder)
        if NAME not in names:
            _try_to_write(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"{folder}: is not a folder; choose another --out") from error
    except OSError as error:
        raise unusable_folder(folder, error) from error
    manifest = load(folder)
    if manifest is not None and manifest.job != job:
        raise ConfigError(f'{folder}: holds the export of job "{manifest.job}", not of "{job}"; choose another --out')
    listed = manifest.paths() if manifest is not None else set()
    ours = begun or manifest is not None
    if TASKS in names and (begun or manifest is not None):
        names = [name for name in names if name != TASKS] + [TASKS + name for name in _names_in(folder / TASKS)]
    for name in names:
        known = (
            name in (NAME, f"{RESPONSES}/") or name in listed or is_leftover(name.removesuffix("/").rpartition("/")[2])
        )
        is_data = ours and is_data_name(name.removeprefix(TASKS), stems)
        if not known and not is_data and not _holds(listed, name):
            raise ConfigError(f"{folder / name}: is not from this export; move it away or choose another --out")
    return manifest


def is_leftover(name: str) -> bool:
    """Whether a name is not data: a hidden file, such as our own unfinished one, or a file that a system left."""
    return name.startswith(".") or is_of_the_system(name)


def _try_to_write(folder: Path) -> None:
    """Raise OSError if no file can be made. The run fails now instead of after an hour of reading."""
    probe = folder / f"{PART}probe"
    with open(probe, "wb"):
        pass
    probe.unlink()


def _names_in(folder: Path) -> list[str]:
    """The sorted names in a folder; the name of a sub-folder has a slash at its end."""
    return sorted(entry.name + "/" * entry.is_dir() for entry in os.scandir(folder))


def _holds(listed: Collection[str], name: str) -> bool:
    """Whether a listed file is in this sub-folder."""
    return name.endswith("/") and any(path.startswith(name) for path in listed)


def _orphans(folder: Path, known: set[str], stems: Collection[str]) -> Iterator[Path]:
    manifest = load(folder)
    kept = known | (manifest.paths() if manifest is not None else set())
    inside = (TASKS + name for name in _names_in(folder / TASKS)) if (folder / TASKS).is_dir() else ()
    for name in (*_names_in(folder), *inside):
        if name not in kept and is_data_name(name.removeprefix(TASKS), stems):
            yield folder / name


def remove_orphans(folder: Path, known: set[str], *, stems: Collection[str] = STEMS) -> list[str]:
    """Remove data files that a killed run finished but did not record. Returns their names.

    Call it after `check_folder`. Files under `responses/` stay, because the next run finds them again by their hashes.
    known: paths that the ledger holds although the manifest does not list them yet.
    """
    removed = []
    for path in _orphans(folder, known, stems):
        path.unlink(missing_ok=True)
        removed.append(path.relative_to(folder).as_posix())
    with suppress(OSError):  # a folder that is not empty stays
        (folder / TASKS).rmdir()
    return removed
