"""More than 1,000 new tasks with a live key, in a terminal and without one; names that the account does not have."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import LIVE_KEY, PROGRAM, Run, Served, environment, sandbox

PROJECTS = ("banking77", "letters")
COMMAND = ("import", "many.jsonl", "--type", "categorization", "--project", "banking77")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    named = [word for name in PROJECTS for word in ("--project", f"{name}=categorization")]
    with sandbox(tmp_path, *named) as running:
        yield running


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For tests that make no task."""
    named = [word for name in PROJECTS for word in ("--project", f"{name}=categorization")]
    with sandbox(tmp_path_factory.mktemp("server"), *named) as running:
        yield running


def write(folder: Path, number: int) -> None:
    row = {"attachment": "a", "attachment_type": "text", "categories": ["a", "b"]}
    rows = (json.dumps({"unique_id": f"m{count}", **row}) + "\n" for count in range(number))
    (folder / "many.jsonl").write_text("".join(rows))


def at_terminal(folder: Path, served: Served, answer: bytes | None, *args: str) -> tuple[int, str]:
    """Run at a pseudo-terminal, answer the question; None sends Ctrl-C. Returns exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *args],
        cwd=folder,
        env=environment(folder, SCALE_API_KEY=LIVE_KEY, SCALE_API_URL=served.base_url, NO_COLOR="1", TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = bytearray()
    answered = threading.Event()

    def read() -> None:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                return
            if not piece:
                return
            shown.extend(piece)
            if b"[y/N]" in shown and not answered.is_set():
                answered.set()
                if answer is None:
                    process.send_signal(signal.SIGINT)
                else:
                    os.write(ours, answer)

    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait(50)
    reader.join(5)
    os.close(ours)
    return code, shown.decode()


@pytest.mark.parametrize(
    ("answer", "code", "tasks"), [(b"y\n", 0, 1001), (b"\n", 3, 0), (b"n\n", 3, 0), (b"\x04", 3, 0), (None, 3, 0)]
)
def test_in_a_terminal_it_is_asked(answer: bytes | None, code: int, tasks: int, served: Served, tmp_path: Path) -> None:
    write(tmp_path, 1001)
    got, shown = at_terminal(tmp_path, served, answer, *COMMAND)
    assert "create 1,001 new tasks in project banking77 at" in shown
    assert served.base_url in shown
    assert "(live, account default)" in shown
    assert (got, served.tasks("live")) == (code, tasks), shown
    assert "Traceback" not in shown
    assert "Fatal" not in shown


@pytest.mark.parametrize("more", [("--yes",), ("--max-new", "1000"), ("--limit", "1000")])
def test_no_question_where_it_is_answered_or_bounded(more: tuple[str, ...], served: Served, tmp_path: Path) -> None:
    write(tmp_path, 1001)
    _, shown = at_terminal(tmp_path, served, b"n\n", *COMMAND, *more)
    assert "[y/N]" not in shown
    assert served.tasks("live") >= 1000


def test_records_that_have_their_task_are_not_asked_for(served: Served, tmp_path: Path) -> None:
    write(tmp_path, 1001)
    assert at_terminal(tmp_path, served, b"", *COMMAND, "--yes")[0] == 0
    write(tmp_path, 1500)
    code, shown = at_terminal(tmp_path, served, b"n\n", *COMMAND)
    assert (code, served.tasks("live")) == (0, 1500), shown
    assert "[y/N]" not in shown


def test_without_a_terminal_yes_is_required(run: Run, served: Served, tmp_path: Path) -> None:
    write(tmp_path, 1001)
    url = {"SCALE_API_URL": served.base_url}
    ended = run(*COMMAND, key=LIVE_KEY, env=url)
    assert (ended.code, served.tasks("live")) == (2, 0)
    assert "--yes" in ended.err


def test_a_pipe_makes_a_thousand_tasks_without_a_word_and_the_rest_with_yes(
    run: Run, served: Served, tmp_path: Path
) -> None:
    write(tmp_path, 1001)
    lines = (tmp_path / COMMAND[1]).read_text()
    url = {"SCALE_API_URL": served.base_url}
    piped = ("import", "-", *COMMAND[2:], "--job", "p")
    few = run(*piped, key=LIVE_KEY, env=url, stdin="".join(lines.splitlines(keepends=True)[:3]))
    assert (few.code, served.tasks("live")) == (0, 3)
    many = run(*piped, key=LIVE_KEY, env=url, stdin=lines)
    assert many.code == 0, many.err  # a thousand of them are new but for the three
    write(tmp_path, 2100)
    more = run(*piped, key=LIVE_KEY, env=url, stdin=(tmp_path / COMMAND[1]).read_text())
    assert (more.code, served.tasks("live")) == (3, 2001)
    assert "with --yes to send the rest" in more.out
    last = run(*piped, "--yes", key=LIVE_KEY, env=url, stdin=(tmp_path / COMMAND[1]).read_text())
    assert (last.code, served.tasks("live")) == (0, 2100)


@pytest.mark.parametrize(
    ("project", "says"),
    [
        ("bankin77", "did you mean 'banking77'?"),
        ("Letters", "did you mean 'letters'?"),
        ("zebra", "its projects are banking77, letters"),
    ],
)
def test_a_project_that_is_not_there(project: str, says: str, run: Run, lasting: Served, tmp_path: Path) -> None:
    write(tmp_path, 1)
    ended = run(*COMMAND[:-1], project, env={"SCALE_API_URL": lasting.base_url})
    assert ended.code == 2
    assert f"there is no project '{project}' in this account" in ended.err
    assert says in ended.err


@pytest.mark.parametrize(("kind", "near"), [("categorisation", "'categorization'"), ("nonsense", "may refuse")])
def test_a_type_that_nobody_knows_is_reported_before_records_are_spent(
    kind: str, near: str, run: Run, lasting: Served, tmp_path: Path
) -> None:
    write(tmp_path, 1)
    ended = run("import", "many.jsonl", "--type", kind, "--dry-run", env={"SCALE_API_URL": lasting.base_url})
    assert f"a type '{kind}'" in ended.err
    assert near in ended.err


@pytest.mark.parametrize("end", ["", "/v2", "/api"])
def test_an_address_that_is_not_the_v1_root_is_named(end: str, run: Run, lasting: Served, tmp_path: Path) -> None:
    write(tmp_path, 1)
    wrong = lasting.base_url.removesuffix("/v1") + end
    ended = run(*COMMAND, env={"SCALE_API_URL": wrong})
    assert ended.code == 2
    assert f"did you mean {wrong.removesuffix('/v2')}/v1?" in ended.err
