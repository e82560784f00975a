"""The real program against the real sandbox: whole runs, and everything that goes wrong on the way."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import KEY, PROGRAM, Ended, Run, Served, environment, sandbox

PROJECT = "reviews"
IMPORT = ("import", "records.jsonl", "--type", "categorization", "--project", PROJECT)
RECORDS = 60
SLOW = '[[rule]]\nkind = "latency"\non = "create"\nseconds = 0.1\n'


def write_records(folder: Path, count: int = RECORDS) -> None:
    lines = (
        {"attachment": f"text {number}", "attachment_type": "text", "categories": ["good", "bad"], "number": number}
        for number in range(count)
    )
    text = "".join(json.dumps({**line, "metadata": {"n": line.pop("number")}}) + "\n" for line in lines)
    (folder / "records.jsonl").write_text(text, "utf-8")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    write_records(tmp_path)
    with sandbox(tmp_path, "--project", f"{PROJECT}=categorization") as running:
        yield running


def at(served: Served, *args: str) -> tuple[str, ...]:
    return (*args, "--base-url", served.base_url)


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *args],
        cwd=folder,
        env=environment(folder, SCALE_API_KEY=KEY),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_whole_loop(run: Run, served: Served, tmp_path: Path) -> None:
    summary = run(*at(served, *IMPORT, "--job", "first", "--json")).json
    assert (summary["job"], summary["mode"], summary["read"], summary["created"]) == ("first", "test", RECORDS, RECORDS)
    assert served.tasks() == RECORDS
    again = run(*at(served, *IMPORT, "--job", "first", "--json"))
    assert (again.code, again.json["created"], again.json["requests"]) == (0, RECORDS, 0)
    served.ask("/_sandbox/annotate", {"count": "all", "world": "test"})
    exported = run(*at(served, "export", "--out", "data", "--project", PROJECT, "--json"))
    assert (exported.code, exported.json["tasks"]) == (0, RECORDS), exported.err
    listed = json.loads((tmp_path / "data" / "manifest.json").read_text("utf-8"))["files"]
    assert sum(file["rows"] for file in listed) == RECORDS
    status = run(*at(served, "status", "--json"))
    assert [job["job"] for job in status.json["jobs"]].count("first") == 1
    assert run(*at(served, "failures", "--json")).json == {"failures": []}


@pytest.mark.parametrize("more", [(), ("--canary", "2")], ids=["plain", "canary"])
def test_commands_to_copy_reach_the_same_ledger(
    more: tuple[str, ...], run: Run, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"attachment_type": "text"}\n{"attachment_type": "text", "n": 2}\n')
    command = at(served, "import", "bad.jsonl", "--type", "categorization", "--job", "n d", "--ledger", "my.db", *more)
    for _ in range(2):
        ended = run(*command)
        advised = [line.partition(": ")[2] for line in ended.out.splitlines() if ": scalesync " in line]
        assert [line.split()[1] for line in advised] == ["failures", "retry"], ended.out
        assert run(*shlex.split(advised[0])[1:]).out.startswith("n d (test), group failed-400-")


def test_people_get_a_table_and_the_next_step(run: Run, served: Served, tmp_path: Path) -> None:
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"attachment": \n{"attachment_type": "text", "categories": ["x"]}\n')
    ended = run(*at(served, *IMPORT, "--job", "odd"))
    assert ended.code == 1, ended.err
    assert "created" in ended.out
    assert "scalesync failures --job odd" in ended.out
    failures = run(*at(served, "failures", "--job", "odd", "--out", "failed.jsonl"))
    assert failures.code == 0
    assert f"records.jsonl:{RECORDS + 1}" in failures.out
    assert "wrote 1 record to failed.jsonl; the reasons are beside it" in failures.out
    assert "wrote 1 line that is not a record to failed.jsonl.bad.txt, as found" in failures.out
    assert (tmp_path / "failed.jsonl").exists()
    assert run(*at(served, "failures", "--job", "odd", "--out", "failed.jsonl")).code == 0
    nowhere = run(*at(served, "failures", "--job", "odd", "--out", "nowhere/failed.jsonl"))
    assert (nowhere.code, "nowhere: there is no such folder; make it or choose" in nowhere.err) == (2, True)
    nothing = run(*at(served, "failures", "--job", "odd", "--group", "none", "--out", "failed.jsonl"))
    assert (nothing.code, "no record to write, so there is no file failed.jsonl" in nothing.out) == (0, True)
    assert not list(tmp_path.glob("failed.jsonl*"))
    shown = run(*at(served, "failures", "--job", "odd", "--group", "none", "--out", "failed.jsonl", "--json"))
    assert (shown.json["out"], shown.json["written"]) == (None, 0)
    source = (tmp_path / "records.jsonl").read_bytes()
    assert run(*at(served, "failures", "--job", "odd", "--out", "records.jsonl")).code == 2
    assert (tmp_path / "records.jsonl").read_bytes() == source
    unknown = run(*at(served, "failures", "--job", "other"))
    assert (unknown.code, unknown.out) == (2, "")
    for args in (("status",), ("status", "--job", "odd")):
        assert "odd" in run(*at(served, *args)).out
    groups = run(*at(served, "failures", "--json")).json["failures"]
    assert sum(group["count"] for group in groups) == 2
    assert run(*at(served, "retry", "--job", "odd", "--json")).json["job"] == "odd"


def test_exports_are_counted_in_words(run: Run, served: Served, tmp_path: Path) -> None:
    assert run(*at(served, "export", "--out", "none", "--job", "none")).code == 0
    run(*at(served, "import", "records.jsonl", "--type", "categorization", "--project", PROJECT, "--limit", "1"))
    assert run(*at(served, "export", "--out", "one", "--job", "one")).code == 0
    assert "0 tasks" in run(*at(served, "status", "--job", "none")).out
    assert "1 task, 1 file, " in run(*at(served, "status", "--job", "one")).out


def test_a_refused_key_stops_with_3(run: Run, tmp_path: Path) -> None:
    write_records(tmp_path)
    with sandbox(tmp_path, "--project", f"{PROJECT}=categorization", "--set", f"refuse={KEY}:401") as served:
        ended = run(*at(served, *IMPORT, "--json"))
    assert ended.code == 3
    assert ended.json.get("error") or ended.json["message"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.jsonl", None, "missing.jsonl"),
        ("picture.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "picture.jsonl"),
        ("folder/none-*.jsonl", None, "none-*.jsonl"),
    ],
)
def test_a_source_that_cannot_be_read_exits_2(
    run: Run, served: Served, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ended = run(*at(served, "import", "records.jsonl", name, "--type", "categorization", "--project", PROJECT))
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert served.tasks() == 0


@pytest.mark.parametrize("ledger", [".", "no/such/folder/x.db", "records.jsonl"])
def test_a_ledger_that_cannot_be_used_exits_2(run: Run, served: Served, ledger: str) -> None:
    ended = run(*at(served, *IMPORT, "--ledger", ledger))
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert ended.err.startswith("scalesync: ")
    assert ended.err.count("\n") == 1
    assert served.tasks() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_host_that_is_not_there_is_reported_and_waiting_for_it_can_be_stopped(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_records(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    process = start(tmp_path, *IMPORT, "--base-url", url, "--json")
    assert process.stderr is not None
    assert any("127.0.0.1" in process.stderr.readline() for _ in range(2))
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert json.loads(out)["exit_code"] == 3


def test_standard_input_needs_a_name(run: Run, served: Served, tmp_path: Path) -> None:
    text = (tmp_path / "records.jsonl").read_text("utf-8")
    words = ("import", "-", "--type", "categorization", "--project", PROJECT)
    assert run(*at(served, *words), stdin=text).code == 2
    ended = run(*at(served, *words, "--job", "piped", "--json"), stdin=text)
    assert (ended.code, ended.json["created"]) == (0, RECORDS), ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_3_and_the_same_command_continues(run: Run, tmp_path: Path, number: signal.Signals) -> None:
    write_records(tmp_path)
    (tmp_path / "slow.toml").write_text(SLOW, "utf-8")
    with sandbox(tmp_path, "--project", f"{PROJECT}=categorization", "--faults", "slow.toml") as served:
        words = at(served, *IMPORT, "--job", "nightly", "--concurrency", "2", "--json")
        process = start(tmp_path, *words)
        while served.tasks() < 5:
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        stopped = Ended(process.returncode, out, err)
        assert stopped.code == 3, err
        assert "Traceback" not in err
        assert stopped.json["pending"] > 0
        assert 5 <= served.tasks() < RECORDS
        served.ask("/_sandbox/faults", {"rule": []})
        ended = run(*words)
        assert (ended.code, ended.json["created"], served.tasks()) == (0, RECORDS, RECORDS), ended.err


def test_ctrl_c_in_a_long_input_says_that_the_rest_is_not_read_yet(tmp_path: Path) -> None:
    """Otherwise the pending ones, which are only those that were read, look like all that is left."""
    records = 5_000
    write_records(tmp_path, records)
    (tmp_path / "slow.toml").write_text(SLOW, "utf-8")
    with sandbox(tmp_path, "--project", f"{PROJECT}=categorization", "--faults", "slow.toml") as served:
        process = start(tmp_path, *at(served, *IMPORT, "--job", "nightly", "--concurrency", "2"))
        while served.tasks() < 5:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 3, err
    read, pending = (
        int(re.search(rf"^{name} +([\d,]+)$", out, re.M)[1].replace(",", "")) for name in ("read", "pending")
    )
    assert 0 < pending < read < records
    assert "stopped by Ctrl-C; the same command resumes; the rest of the input is not read yet\n" in out
    assert f"{pending:,} records pending: run the same command again to resume\n" in out


def test_an_interrupt_while_starting_is_one_line(tmp_path: Path) -> None:
    script = (
        "import sys, scalesync.__main__ as program\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'scalesync.cli.main':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "program.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(tmp_path), check=False
    )
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_for_the_output_stops_with_3(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*PROGRAM, "--help"],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == 3
    assert b"no space left" in ended.stderr
    assert ended.stderr.count(b"\n") == 1


# A program that gets a signal at a moment of its own choosing: {where} is wrapped, {number} comes then.
SIGNALLED = """
import os, sys, importlib
from scalesync.cli.main import run
module, name = "{where}".split(":")
holder = importlib.import_module(module)
*way, last = name.split(".")
for step in way:
    holder = getattr(holder, step)
inner = getattr(holder, last)
async def wrapped(*args, **kwargs):
    if {first}:
        os.kill(os.getpid(), {number})
        import anyio
        await anyio.sleep(0.2)
    result = await inner(*args, **kwargs)
    if not {first}:
        os.kill(os.getpid(), {number})
    return result
setattr(holder, last, wrapped)
sys.exit(run(sys.argv[1:]))
"""


def signalled(home: Path, where: str, number: int, words: tuple[str, ...], *, first: bool) -> Ended:
    script = SIGNALLED.format(where=where, number=int(number), first=first)
    ended = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        env=environment(home, SCALE_API_KEY=KEY),
        cwd=home,
        check=False,
        timeout=60,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.part(2)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "where", ["scalesync.flows.imports.job_run:ImportRun.go", "scalesync.flows.imports.run:run_import"]
)
def test_a_signal_after_the_work_changes_nothing(served: Served, tmp_path: Path, number: int, where: str) -> None:
    """The ledger says that all is done: so does the summary, and so does the exit code."""
    words = tuple(at(served, *IMPORT, "--job", "nightly", "--json"))
    ended = signalled(tmp_path, where, number, words, first=False)
    assert (ended.code, ended.json["created"]) == (0, RECORDS), ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_batches_are_finalized_stops_in_order(served: Served, tmp_path: Path, number: int) -> None:
    words = tuple(at(served, *IMPORT, "--job", "nightly", "--batch", "b1", "--finalize", "--json"))
    ended = signalled(tmp_path, "scalesync.flows.imports.finish:finalize", number, words, first=True)
    assert (ended.code, ended.json["created"]) == (3, RECORDS), ended.err
    with sqlite3.connect(tmp_path / "scalesync.db") as db:
        assert db.execute("SELECT jobs.owner, exit_code FROM jobs JOIN runs ON runs.job = jobs.id").fetchall() == [
            (None, 3)
        ]


@pytest.mark.parametrize("act", ["exec('raise KeyboardInterrupt')", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_an_interrupt_while_modules_load_ends_with_3_however_it_came(tmp_path: Path, act: str) -> None:
    """CPython remembers one that left an exec, and ends `python -m` by the signal although it was caught."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'scalesync.cli.main':\n"
        f"            {act}\n"
        "sys.meta_path.insert(0, Stop())\n"
    )
    env = {**environment(tmp_path), "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run([*PROGRAM, "status"], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr == "scalesync: stopped before anything was sent\n"


def test_failures_of_standard_input_go_no_circle(run: Run, served: Served, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text("utf-8").splitlines()[:3]]
    lines[1]["attachment_type"] = "nonsense"
    typed = "".join(json.dumps({"unique_id": f"p{number}", **line}) + "\n" for number, line in enumerate(lines))
    command = at(served, "import", "-", "--type", "categorization", "--project", PROJECT, "--job", "piped")
    ended = run(*command, stdin=typed)
    assert ended.code == 1
    assert f"retry --job piped --base-url {served.base_url}, then pipe the same input into the same import" in ended.out
    failures = run(*at(served, "failures", "--out", "failed.jsonl", "--json"))
    assert failures.code == 1
    assert (failures.json["written"], [item["count"] for item in failures.json["left"]]) == (0, [1])
    told = run(*at(served, "failures", "--out", "failed.jsonl"))
    assert told.code == 1
    assert "piped (test), group failed-400-" in told.out
    assert "1 of 1 failing records of job piped came from standard input" in told.out
    again = run(*at(served, "retry", "--job", "piped"))
    assert again.code == 1
    assert "1 failed record is pending again; pipe the same input into the same import" in again.out
    assert "run the same command again" not in again.out
    assert run(*command, stdin=typed.replace("nonsense", "text")).code == 0


def test_a_record_with_an_id_that_cannot_be_used_is_not_said_to_have_none(
    run: Run, served: Served, tmp_path: Path
) -> None:
    record = {"attachment": "x", "attachment_type": "text", "categories": ["a"]}
    lines = [json.dumps(record | {"unique_id": "odd-1", "drive": 1}), json.dumps(record | {"unique_id": "odd-2"})]
    (tmp_path / "odd.jsonl").write_text("\n".join(lines), encoding="utf-8")
    wanted = ("--type", "categorization", "--project", PROJECT, "--batch", "{drive}")
    ended = run(*at(served, "import", "odd.jsonl", *wanted, "--job", "odd"))
    assert ended.code == 1, ended.err
    told = run(*at(served, "failures", "--job", "odd"))
    assert '  odd.jsonl:2  has no column "drive"' in told.out
    assert "no unique_id" not in told.out


def test_a_missing_folder_for_failures_is_wrong_usage(run: Run, served: Served) -> None:
    run(*at(served, *IMPORT))
    ended = run(*at(served, "failures", "--out", "nowhere/a.jsonl"))
    assert ended.code == 2
    assert "no such folder" in ended.err
