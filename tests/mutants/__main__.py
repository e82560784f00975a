"""Apply each mutant to a copy of the tree and see that the suite notices.

    python -m tests.mutants [--only WORD]... [--part 2/5] [--first] [--minutes 15] [--checked] [--workers 2]
                            [--out build/mutants.json]

For each mutant the tests that know its promise run first, the whole suite only when they stay green; with --first those
tests have to notice it themselves. Ends with 1 when a mutant survives, when the text it replaces is not there any more,
or when the tests fail without any mutant. What the time did not allow is left out and told.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutants.chunks import CHUNK_MUTANTS
from tests.mutants.commands import COMMAND_MUTANTS
from tests.mutants.exports import EXPORT_MUTANTS
from tests.mutants.formats import FORMAT_MUTANTS
from tests.mutants.imports import IMPORT_MUTANTS
from tests.mutants.model import Edit, Mutant
from tests.mutants.reading import READING_MUTANTS
from tests.mutants.stages import STAGE_MUTANTS
from tests.mutants.versions import VERSION_MUTANTS
from tests.mutants.waits import WAIT_MUTANTS
from tests.soak.figures import commit

MUTANTS = (
    *(*IMPORT_MUTANTS, *CHUNK_MUTANTS, *EXPORT_MUTANTS, *VERSION_MUTANTS, *FORMAT_MUTANTS),
    *(*WAIT_MUTANTS, *READING_MUTANTS, *COMMAND_MUTANTS, *STAGE_MUTANTS),
)
ROOT = Path(__file__).resolve().parents[2]
KEPT = ("scalesync", "tests", "benchmarks", "docs", "config", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")
LEFT_OUT = shutil.ignore_patterns(".*", "build")
PATIENCE_S = 600  # for the tests of one mutant
WHOLE_S = 3600  # for the tests of all, without any mutant
EVERYTHING = ("tests", "--ignore=tests/mutants")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant. caught_by: the first failing test, None when all stayed green."""

    name: str
    promise: str
    caught_by: str | None
    seconds: float


class Rotten(Exception):
    """A mutant's text is not in the tree as it is now."""


class Red(Exception):
    """A test that fails without any mutant."""


def copy_tree(root: Path, folder: Path) -> None:
    """A copy of what the tests need, with its bytecode, which Python judges by time and size of the source."""
    for name in KEPT:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=LEFT_OUT)
        elif source.exists():
            shutil.copy2(source, folder / name)


def replaced(edit: Edit, folder: Path) -> str:
    """The file's text with the edit made. Raises Rotten when the old text is not there exactly once."""
    path = folder / edit.file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text.count(edit.old) != 1:
        raise Rotten(f"{edit.file} holds this {text.count(edit.old)} times, not once:\n{edit.old}")
    return text.replace(edit.old, edit.new)


def first_failure(folder: Path, tests: Sequence[str], *more: str, patience_s: float = PATIENCE_S) -> str | None:
    """Run tests in a copy until one fails; returns its name. A suite that does not end has noticed as well.

    What is compiled on the way stays in the copy, for copies of it.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not soak"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    try:
        done = subprocess.run(
            [*command, *more, *tests],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {patience_s:g} s"
    if done.returncode == 0:
        return None
    found = FAILED.search(done.stdout)
    return found[1] if found else f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-300:]}"


def judge(mutant: Mutant, clean: Path, *, first_only: bool = False) -> Result:
    """Try one mutant. A test of the whole suite that fails without the mutant as well has noticed nothing.

    clean: a copy of the tree in which the tests have run.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        copy_tree(clean, folder)
        for edit in mutant.edits:
            (folder / edit.file).write_text(replaced(edit, folder), encoding="utf-8")
        caught = first_failure(folder, mutant.first)
        if caught is None and not first_only:
            caught = first_failure(folder, EVERYTHING, "-n", "2")
            if caught is not None and (red := first_failure(clean, (caught,))) is not None:
                raise Red(red)
    result = Result(mutant.name, mutant.promise, caught, round(time.monotonic() - begun, 1))
    sys.stdout.write(f"{result.seconds:6.1f} s  {result.name}\n          {caught or 'SURVIVED'}\n")
    sys.stdout.flush()
    return result


def check_first(mutants: Sequence[Mutant], clean: Path, workers: int, *, checked: bool) -> None:
    """Raises Rotten when a text is not there, Red when a test fails already: then being caught would mean nothing.

    clean: an empty folder, for a copy of the tree.
    checked: whoever asks runs all tests anyway, so here they are only compiled.
    """
    for mutant in mutants:
        for edit in mutant.edits:
            replaced(edit, ROOT)
    copy_tree(ROOT, clean)
    tests = sorted({path for mutant in mutants for path in mutant.first})
    beside = ("--collect-only",) if checked else ("-n", str(workers), "--dist", "loadscope")
    if (red := first_failure(clean, tests, *beside, patience_s=WHOLE_S)) is not None:
        raise Red(red)


def part(text: str) -> tuple[int, int]:
    """`2/5` as numbers. Raises ValueError, which argparse turns into its own words."""
    number, parts = map(int, text.split("/"))
    if not 1 <= number <= parts:
        raise ValueError(text)
    return number, parts


def chosen(words: Sequence[str], number: int = 1, parts: int = 1) -> Sequence[Mutant]:
    """Of the mutants whose names hold one of the words, all for none, a part: neighbours, who share their tests."""
    named = [one for one in MUTANTS if not words or any(word in one.name for word in words)]
    return named[len(named) * (number - 1) // parts : len(named) * number // parts]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--only", action="append", default=[], help="mutants whose name holds this word, or another")
    parser.add_argument("--part", type=part, default=(1, 1), help="2/5: the second of five parts of them")
    parser.add_argument("--first", action="store_true", help="run no tests but those that know the promise")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no mutant after so many")
    parser.add_argument("--checked", action="store_true", help="the tests without any mutant are run elsewhere")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("build/mutants.json"))
    typed = parser.parse_args()
    mutants = chosen(typed.only, *typed.part)
    latest = time.monotonic() + typed.minutes * 60

    def judged(mutant: Mutant) -> Result | None:
        return judge(mutant, clean, first_only=typed.first) if time.monotonic() < latest else None

    try:
        with tempfile.TemporaryDirectory(prefix="clean-") as name, ThreadPoolExecutor(typed.workers) as pool:
            clean = Path(name)
            check_first(mutants, clean, typed.workers, checked=typed.checked)
            results = [result for result in pool.map(judged, mutants) if result is not None]
    except Rotten as error:
        sys.stderr.write(f"a mutant has to be brought up to date: {error}\n")
        return 1
    except Red as error:
        sys.stderr.write(f"without any mutant this fails already: {error}\n")
        return 1
    found = {"commit": commit(), "planned": len(mutants), "results": [asdict(result) for result in results]}
    typed.out.parent.mkdir(parents=True, exist_ok=True)
    typed.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(in_short(found)) + "\n")
    return 1 if not results or any(result.caught_by is None for result in results) else 0


def in_short(found: dict[str, Any]) -> list[str]:
    """What was run and caught, in a line for all and one for each mutant that survived. found: as it is written."""
    results = found["results"]
    survived = [result["name"] for result in results if result["caught_by"] is None]
    head = (
        f"mutants of {found['commit']}: {len(results)} of {found['planned']} run, {len(results) - len(survived)} caught"
    )
    return [head, *(f"SURVIVED: {name}" for name in survived)]


if __name__ == "__main__":
    sys.exit(main())
