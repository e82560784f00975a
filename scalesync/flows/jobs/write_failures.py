"""The files of `failures --out OUT`: records, which `import` reads back, and places in sources that are not records.

OUT              one record in each line, as JSON       OUT.reasons.jsonl            why each of these lines failed
OUT.bad.txt      one place in each line, unchanged      OUT.bad.txt.reasons.jsonl    why each of these lines failed

A reason holds the digest of its line, so a later run sees whether a person changed the file. Reasons of earlier
versions have no digest.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

from scalesync.disk import output_error, replacing
from scalesync.errors import ConfigError
from scalesync.flows.runtime.output_guard import is_report, spare_inputs
from scalesync.jsonvalue import as_item, as_text
from scalesync.model.records import SourceRecord
from scalesync.sources.places.written import REASONS, REASONS_END

DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class NotWritten:
    """Failing records of a job that could not be written.

    reason: a sentence.
    """

    job: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class WrittenOut:
    """The failing records that were written, and those that were not.

    bad: places that are not records, in `bad_out`.
    """

    written: int
    left: tuple[NotWritten, ...] = ()
    bad: int = 0
    bad_out: Path | None = None

    @property
    def exit_code(self) -> int:
        """1 if a record could not be written."""
        return 1 if self.left else 0


def bad_of(out: Path) -> Path:
    """The file of places that are not records."""
    return Path(f"{out}.bad.txt")


def reasons_of(path: Path) -> Path:
    """The file of reasons beside another one."""
    return Path(f"{path}{REASONS_END}")


def outputs(out: Path) -> tuple[Path, ...]:
    """All four files. The reasons come first, because a later run recognises a file as its own by its reasons."""
    bad = bad_of(out)
    return reasons_of(out), out, reasons_of(bad), bad


def check_places(out: Path, ledger: Path, sources: Sequence[str]) -> None:
    """Raise ConfigError if a file is not from an earlier run; it may be the job's own source."""
    for path in outputs(out):
        spare_inputs(path, ledger, sources)
    for path in (out, bad_of(out)):
        reasons = reasons_of(path)
        if reasons.exists() and not is_report(reasons, REASONS, whole=True):
            raise ConfigError(f"{reasons} exists and holds no reasons of failures; move it away or choose another file")
        if _is_half_replaced(path, reasons):
            continue
        alone = not reasons.exists() or not reasons.stat().st_size
        if path.exists() and (not path.is_file() or (alone and path.stat().st_size)):
            raise ConfigError(f"{path} exists and was not written by scalesync failures; choose another file")
        if path.exists() and reasons.exists() and not _is_as_written(path, reasons):
            raise ConfigError(
                f"{path} was changed since scalesync wrote it; import or move it, or choose another --out"
            )


def _is_as_written(path: Path, reasons: Path) -> bool:
    """Whether each line of a file is the one that its reason was written for; True for reasons without digests."""
    try:
        with open(path, "rb") as lines, open(reasons, "rb") as written:
            for line, reason in zip_longest(lines, written):
                if reason is None:
                    return False
                digest = json.loads(reason).get(DIGEST)
                if digest is None:
                    return True
                if line is None or digest != _digest(line):
                    return False
    except OSError as error:
        raise output_error(path, error) from error
    return True


def _is_half_replaced(path: Path, reasons: Path) -> bool:
    """Whether a run was killed after it had replaced the reasons, and before the file that they are about.

    What it was to put there is still beside it, and at least as new as the file: nobody changed that since.
    """
    if not path.is_file() or not reasons.exists():
        return False
    parts = path.parent.glob(f".{glob.escape(path.name)}.*.part")
    changed_ns = path.stat().st_mtime_ns
    return any(part.stat().st_mtime_ns >= changed_ns and _is_as_written(part, reasons) for part in parts)


def _digest(line: bytes) -> str:
    """The digest of a line with its line end, 32 hexadecimal digits."""
    return blake2b(line, digest_size=16).hexdigest()


class Written:
    """Writes each failing place as text.

    records: lines of OUT so far.
    bad: lines of OUT.bad.txt so far.
    """

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._reasons, self._lines, self._bad_reasons, self._bad_lines = files
        self.records = self.bad = 0

    def add(self, text: bytes, reason: Mapping[str, Any]) -> None:
        """Write one place, and why it failed."""
        line = text.replace(b"\n", b" ") + b"\n"
        if isinstance(as_item(line, 0), SourceRecord):
            self.records += 1
            lines, reasons = self._lines, self._reasons
        else:
            self.bad += 1
            lines, reasons = self._bad_lines, self._bad_reasons
        lines.write(line)
        reasons.write(as_text({**reason, DIGEST: _digest(line)}).encode() + b"\n")


@contextmanager
def writing(out: Path) -> Iterator[Written]:
    """Write new files, which replace those of an earlier run at the end. A file without a line is removed."""
    with replacing(*outputs(out)) as files:
        written = Written(files)
        yield written
    for path, lines in ((out, written.records), (bad_of(out), written.bad)):
        if not lines:
            path.unlink(missing_ok=True)
            reasons_of(path).unlink(missing_ok=True)
