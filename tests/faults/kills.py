"""Import and export as subprocesses that are killed and run again; what must be true after each kill and at the end."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests import forked
from tests.faults.dying import MARK

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 256  # records whose intent one commit makes durable
WIDTH = 64
MOST_RUNS = 8
KILLED = -9
# Lists that repeat tasks, on the same page, the next or a later one: nothing is missing, so nothing is unsettled.
LIES: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"kind": "repeat"}],
    [{"kind": "repeat", "back": 2, "count": 30}, {"kind": "repeat", "back": 0, "pages": [1, 2], "count": 3}],
    [{"kind": "repeat", "share": 0.5, "count": 9}, {"kind": "repeat", "share": 0.3, "back": 3}],
)
KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "SCALESYNC_TRANSPORT")


@dataclass(slots=True)
class Verdict:
    """What one killed job came to. wrong: sentences, empty when every promise held."""

    kind: str
    kills: int = 0
    runs: int = 0
    records: int = 0
    sent_again: int = 0
    most_sent_again: int = 0
    losses: int = 0
    duplicates: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over. steps: file operations, where the program was asked to count them."""

    code: int
    summary: dict[str, Any]
    steps: int
    err: str


class Site:
    """A folder to work in and a killing sandbox beside it."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], key: str) -> None:
        self.folder = folder
        self._process = process
        self._key = key
        self.base_url = str(self._answer()["base_url"])

    def ask(self, do: str, **given: Any) -> Any:
        """One command to the sandbox."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the sandbox has ended"
        return json.loads(line)

    def run(
        self,
        *arguments: str,
        after: int = 0,
        phase: str = "enter",
        strike: int = -1,
        rows: int = 0,
        ledger: str | None = "ledger.db",
    ) -> Ended:
        """Run the program. after: kill it at that request; strike: let it kill itself at that file operation.

        ledger: None for a command that takes none.
        """
        placed = [] if ledger is None else ["--ledger", ledger]
        typed = [*arguments, *placed, "--json", "--quiet"]
        module = "scalesync"
        if strike >= 0:
            module, typed = "tests.faults.dying", [str(strike), str(rows), *typed]
        code, out, err = forked.run(
            module,
            typed,
            folder=self.folder,
            environment=environment(self.folder, SCALE_API_KEY=self._key, SCALE_API_URL=self.base_url),
            meanwhile=lambda pid: self.ask("arm", pid=pid, after=after, phase=phase) if after else None,
        )
        steps = int(err.rpartition(MARK)[2].split()[0]) if MARK in err else 0
        return Ended(code, json.loads(out) if out.strip() else {}, steps, err)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Only what the program needs; nothing of the person's own settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "APPDATA"), str(folder))
    return {**kept, **homes, "PYTHONPATH": str(ROOT), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", **more}


@contextmanager
def site(folder: Path, seed: int, key: str = "live_k", **switches: Any) -> Iterator[Site]:
    """Start the sandbox; at the end its standard input is closed and it is waited for."""
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.killer", json.dumps({"seed": seed, **switches})],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Site(folder, process, key)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            finally:
                process.kill()


def write_letters(path: Path, count: int) -> None:
    """A source of `count` letters."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            record = {"unique_id": f"letter-{number:06d}", "attachment": f"letter {number}", "attachment_type": "text"}
            record |= {"categories": ["a", "b"], "metadata": {"number": number}}
            file.write(json.dumps(record) + "\n")


def write_apart(folder: Path, lines: Path) -> None:
    """Each line of a file as a file of its own."""
    folder.mkdir()
    for number, line in enumerate(lines.read_text(encoding="utf-8").splitlines()):
        (folder / f"{number:06d}.json").write_text(line, encoding="utf-8")


def killed_imports(folder: Path, seed: int, *, kills: int, records: int, apart: bool = False) -> Verdict:
    """One import, killed `kills` times at requests drawn from the seed, then left to end.

    apart: of a pattern that matches a file for each record.
    """
    rng = random.Random(f"import {seed}")
    verdict = Verdict("import", records=records)
    with site(folder, seed) as here:
        write_letters(folder / "letters.jsonl", records)
        source = "letters.jsonl"
        if apart:
            write_apart(folder / "letters", folder / source)
            source = "letters/*.json"
        command = ["import", source, "--type", "categorization", "--project", "letters", "--job", "letters"]
        command += ["--batch", "killed batch", "--concurrency", str(WIDTH), "--yes"]
        ended = None
        before = here.ask("report")["taken"]
        while verdict.runs < kills + MOST_RUNS:
            after = rng.randint(1, max(2, records // kills)) if verdict.kills < kills else 0
            ended = here.run(*command, after=after, phase=("enter", "leave")[rng.randrange(2)])
            verdict.runs += 1
            check_integrity(verdict, folder / "ledger.db")
            report = here.ask("report")
            again, before = report["taken"] - before, report["taken"]
            verdict.sent_again += again
            verdict.most_sent_again = max(verdict.most_sent_again, again)
            if again > WIDTH + BLOCK:
                verdict.wrong.append(f"{again} creates were sent again after a kill, more than {WIDTH} + {BLOCK}")
            if ended.code == KILLED:
                verdict.kills += 1
            elif ended.code != 3:
                break
        _judge_import(verdict, ended, here.ask("tasks", world="live"), folder / "ledger.db")
    return verdict


def _judge_import(verdict: Verdict, ended: Ended | None, tasks: Sequence[Sequence[Any]], ledger: Path) -> None:
    wanted = {f"letter-{number:06d}": number for number in range(verdict.records)}
    held = Counter(key for key, _, _ in tasks)
    verdict.losses = sum(key not in held for key in wanted)
    verdict.duplicates = len(tasks) - len(held)
    if {key: number for key, _, number in tasks} != wanted or verdict.duplicates:
        verdict.wrong.append(f"{verdict.losses} lost, {verdict.duplicates} twice")
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        rows = {key: (state, ref) for key, state, ref in db.execute("SELECT unique_id, state, task_id FROM rows")}
    if rows != {key: ("created", task_id) for key, task_id, _ in tasks}:
        verdict.wrong.append("the ledger's rows are not the server's tasks")
    summary = {} if ended is None else ended.summary
    if ended is None or ended.code != 0 or (summary["read"], summary["created"]) != (len(wanted), len(wanted)):
        verdict.wrong.append(f"ended as {ended}")


Way = Literal["requests", "files"]


def drawn_moment(rng: random.Random, way: Way, requests: int, steps: int) -> dict[str, Any]:
    """When a run is to be killed: at one of its requests, or at one of its file operations."""
    if way == "files":
        return {"strike": rng.randint(1, steps)}
    return {"strike": 0, "after": rng.randint(1, requests), "phase": ("enter", "leave")[rng.randrange(2)]}


def killed_exports(folder: Path, seed: int, *, kills: int, tasks: int, way: Way, responses: bool = True) -> Verdict:
    """One export, killed `kills` times, then left to end and compared with one that was not killed.

    way: kills come at drawn requests, or at drawn file operations. responses: with result files.
    """
    rng = random.Random(f"export {seed}")
    verdict = Verdict("export", records=tasks)
    with site(folder, seed, key="test_k", result_bytes=2000) as here:
        here.ask("fill", count=tasks, kind="videoannotation", world="test")
        here.ask("faults", rules=random.Random(f"lies of export {seed}").choice(LIES))
        rows = max(10, tasks // 3)
        command = ["export", *(["--download-responses"] if responses else [])]
        plain = here.run(*command, "--job", "plain", "--out", "plain", strike=0, rows=rows)
        assert plain.code == 0, plain
        steps, requests = plain.steps, here.ask("report")["requests"]
        ended = None
        most = 2 * kills + MOST_RUNS
        while verdict.runs < most:
            # A resumed export is short, so many moments come too late; the last runs are left to end in any case.
            kill = verdict.kills < kills and verdict.runs < most - 2
            moment = drawn_moment(rng, way, requests, steps) if kill else {"strike": 0}
            ended = here.run(*command, "--job", "killed", "--out", "killed", rows=rows, **moment)
            verdict.runs += 1
            check_integrity(verdict, folder / "ledger.db")
            if (folder / "killed" / "manifest.json").exists():
                verdict.wrong += problems_of(folder / "killed")
            if ended.code == KILLED:
                verdict.kills += 1
            elif ended.code != 3:
                if not kill:
                    break
                ended = None  # the moment came too late: this export is done, the next one begins
                command = [*command, "--again"] if "--again" not in command else command
        _judge_export(verdict, ended, folder)
    return verdict


def _judge_export(verdict: Verdict, ended: Ended | None, folder: Path) -> None:
    if ended is None or ended.code != 0:
        verdict.wrong.append(f"ended as {ended}")
        return
    plain, killed = listed_lines(folder / "plain"), listed_lines(folder / "killed")
    verdict.wrong += left_over(folder / "killed")
    ids = Counter(json.loads(line)["task_id"] for line in killed)
    verdict.losses = verdict.records - len(ids)
    verdict.duplicates = len(killed) - len(ids)
    if sorted(plain) != sorted(killed):
        verdict.wrong.append(f"the killed export holds {len(killed)} lines ({len(ids)} tasks), the other {len(plain)}")
    if response_set(folder / "plain") != response_set(folder / "killed"):
        verdict.wrong.append("the killed export lists other result files")


def listed_lines(out: Path) -> list[bytes]:
    """The lines of all data files that the manifest names."""
    manifest = json.loads((out / "manifest.json").read_bytes())
    return [line for entry in manifest["files"] for line in (out / entry["path"]).read_bytes().splitlines()]


def response_lines(out: Path) -> list[dict[str, Any]]:
    """The lines of the index of result files."""
    manifest = json.loads((out / "manifest.json").read_bytes())
    files = manifest["responses"]["files"]
    return [json.loads(line) for entry in files for line in (out / entry["path"]).read_bytes().splitlines()]


def response_set(out: Path) -> list[tuple[str, str, str]]:
    """(task, place, content) of each stored result file, sorted."""
    return sorted((line["task_id"], line["field"], line["sha256"]) for line in response_lines(out))


def problems_of(out: Path) -> list[str]:
    """Where a folder is not what its manifest says."""
    manifest = json.loads((out / "manifest.json").read_bytes())
    problems = []
    for entry in [*manifest["files"], *manifest["responses"]["files"]]:
        data = (out / entry["path"]).read_bytes()
        facts = {"rows": data.count(b"\n"), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        problems += [f"{entry['path']}: {name} is {fact}" for name, fact in facts.items() if entry[name] != fact]
    for line in response_lines(out):
        data = (out / line["path"]).read_bytes()
        if (len(data), hashlib.sha256(data).hexdigest()) != (line["bytes"], line["sha256"]):
            problems.append(f"{line['path']} is not what its index says")
    return problems


def left_over(out: Path) -> list[str]:
    """Files of a finished export that nothing names, half-written ones among them."""
    manifest = json.loads((out / "manifest.json").read_bytes())
    named = {entry["path"] for entry in [*manifest["files"], *manifest["responses"]["files"]]} | {"manifest.json"}
    named |= {line["path"] for line in response_lines(out)}
    there = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    return [f"{name} is left over" for name in sorted(there - named)]


def check_integrity(verdict: Verdict, ledger: Path) -> None:
    """The ledger is a whole database."""
    if ledger.exists():
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
            (answer,) = db.execute("PRAGMA integrity_check").fetchone()
        if answer != "ok":
            verdict.wrong.append(f"the ledger is broken: {answer}")
