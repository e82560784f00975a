"""The file of findings: JSON lines under a hidden name, renamed at the end. The repair uses it as its plan."""

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

from scalesync.disk import no_such_folder, output_error
from scalesync.errors import ConfigError
from scalesync.flows.runtime.output_guard import is_report, spare_inputs
from scalesync.flows.verify.findings import ALWAYS, RECLAIM, Finding
from scalesync.model.records import JsonObject


def check_place(path: Path, ledger: Path, sources: Iterable[str]) -> None:
    """Raise ConfigError if `path` holds a file of another kind, which would be lost."""
    spare_inputs(path, ledger, sources)
    if os.path.lexists(path) and not is_report(path, ALWAYS):
        raise ConfigError(f"{path} exists and is not a file of findings; move it away or choose another --out")


class FindingsFile:
    """The file while it is written. A context manager: after an error no file is left.

    keep_empty: write a file even without findings. Otherwise an older file of that name is removed.
    """

    def __init__(self, path: Path, *, keep_empty: bool) -> None:
        self.path = path
        self.kinds: Counter[str] = Counter()
        self.fixes: Counter[str] = Counter()
        self._keep_empty = keep_empty
        with self._output_errors():
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
        """Write one finding. `fixes` counts repairable findings by action; reclaims also by the status of the task."""
        self.kinds[finding.kind] += 1
        if finding.fix is not None:
            self.fixes[f"{finding.fix} {finding.kind}" if finding.fix == RECLAIM else finding.fix] += 1
        with self._output_errors():
            self._lines.write(json.dumps(finding.as_json(), default=str).encode() + b"\n")

    def keep(self) -> Path | None:
        """Move the file to its place and return its path; None without findings, unless `keep_empty`."""
        with self._output_errors():
            self._lines.close()
            if self.kinds or self._keep_empty:
                os.replace(self._part, self.path)
                return self.path
            self.path.unlink(missing_ok=True)
            return None

    @contextmanager
    def _output_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise no_such_folder(self.path) from error
        except OSError as error:
            raise output_error(self.path.absolute().parent, error) from error


def read_findings(path: Path) -> Iterator[JsonObject]:
    """The lines of a findings file."""
    with open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)
