"""The file of findings: JSON lines, written under a hidden name and moved to their place at the end.

It is the plan of the repair too.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from scalesync.disk import output_error
from scalesync.errors import ConfigError
from scalesync.flows.runtime.output_guard import is_report, spare_inputs
from scalesync.flows.verify.findings import ALWAYS, RECLAIM, Finding
from scalesync.model.records import JsonObject


def check_place(path: Path, ledger: Path, sources: Iterable[str]) -> None:
    """Raise ConfigError when a file that is not a file of findings would be lost at `path`."""
    spare_inputs(path, ledger, sources)
    if os.path.lexists(path) and not is_report(path, ALWAYS):
        raise ConfigError(f"{path} exists and is not a file of findings; move it away or choose another --out")


class FindingsFile:
    """Used as a context manager: what breaks off leaves no file.

    keep_empty: leave a file even when there is nothing to report; otherwise an older one of that name is removed.
    """

    def __init__(self, path: Path, *, keep_empty: bool) -> None:
        self.path = path
        self.kinds: Counter[str] = Counter()
        self.fixes: Counter[str] = Counter()
        self._keep_empty = keep_empty
        with self._told():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        self._part = Path(name)
        self._lines: BinaryIO = os.fdopen(handle, "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._lines.close()
        self._part.unlink(missing_ok=True)

    def add(self, finding: Finding) -> None:
        """Write one finding. fixes counts those that can be repaired, by action; dead tasks by their status."""
        self.kinds[finding.kind] += 1
        if finding.fix is not None:
            self.fixes[f"{finding.fix} {finding.kind}" if finding.fix == RECLAIM else finding.fix] += 1
        with self._told():
            self._lines.write(json.dumps(finding.as_json(), default=str).encode() + b"\n")

    def keep(self) -> Path | None:
        """Move the file to its place; None when there is none."""
        with self._told():
            self._lines.close()
            if self.kinds or self._keep_empty:
                os.replace(self._part, self.path)
                return self.path
            self.path.unlink(missing_ok=True)
            return None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ConfigError(f"{self.path}: there is no such folder; make it or choose another --out") from error
        except OSError as error:
            raise output_error(self.path.absolute().parent, error) from error


def read_findings(path: Path) -> Iterator[JsonObject]:
    """The lines of a findings file."""
    with open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)
