"""The version of the API over which tasks are made: the type chooses it, --api does, and so does what was begun."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from unittest.mock import patch

import pytest
from anyio.from_thread import start_blocking_portal

from scalesync import import_tasks
from scalesync.cli.main import run as program
from scalesync.errors import ConfigError
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.sandbox import Sandbox, SandboxConfig
from tests.docs.console import ROOT
from tests.platforms.chat import LABEL, ChatHarness

Run = Callable[..., tuple[int, str, str]]
ROWS = [{"template_variables": {"prompt": f"letter {n}"}, "unique_id": f"key-{n}"} for n in range(4)]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox whose address stands in the environment, in a folder with chats.jsonl."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    Path("chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    sandbox = Sandbox(SandboxConfig(seed=7, journal_size=1000))
    for world in ("live", "test"):
        sandbox.store.genai(world).add_project("suite", "SFT")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(sandbox):
        monkeypatch.setenv("SCALE_API_KEY", "test_k")
        monkeypatch.setenv("SCALE_API_URL", sandbox.base_url)
        yield sandbox


@pytest.fixture
def run(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> Run:
    """run(*args): a command on that sandbox."""

    def call(*args: str, env: Mapping[str, str] = MappingProxyType({})) -> tuple[int, str, str]:
        capsys.readouterr()
        with patch.dict(os.environ, env):
            return program([*args]), *capsys.readouterr()

    return call


def made(sandbox: Sandbox) -> list[tuple[str | None, str | None]]:
    """unique_id, and key in the metadata, of each task."""
    found = sandbox.store.world("test").documents()
    return sorted(((task.get("unique_id"), (task.get("metadata") or {}).get(LABEL)) for task in found), key=str)


CHATS = ("import", "chats.jsonl", "--type", "chat", "--project", "suite")
OVER_1 = [(row["unique_id"], None) for row in ROWS]
OVER_2 = [(None, row["unique_id"]) for row in ROWS]


@pytest.mark.parametrize("kind", ["chat", "chatlite", "chatexperimental", "multichat", "chatv2"])
def test_the_type_of_chats_chooses_version_2_and_says_so_in_one_sentence(run: Run, sandbox: Sandbox, kind: str) -> None:
    code, out, err = run(*CHATS[:3], kind, *CHATS[4:], "--json")
    assert (code, json.loads(out)["target"]) == (0, f"{sandbox.base_url.removesuffix('/v1')}/v2"), err
    assert [line for line in err.splitlines() if "API v2" in line] == [
        f"tasks of type {kind} are made over API v2 at {sandbox.base_url.removesuffix('/v1')}/v2: looked up before a"
        " second send: no record gets two tasks unless a request takes effect more than 60 s after it was given up;"
        " `scalesync verify` finds these, and `--fix` removes those that nobody has worked on"
    ]
    assert made(sandbox) == OVER_2
    assert run(*CHATS[:3], kind, *CHATS[4:], "--rescan")[0] == 0
    assert made(sandbox) == OVER_2


def test_other_types_stay_with_version_1(run: Run, sandbox: Sandbox) -> None:
    sandbox.store.world("test").add_project("letters", "categorization")
    Path("a.jsonl").write_text(
        '{"attachment": "a", "attachment_type": "text", "categories": ["b"], "unique_id": "a"}\n'
    )
    code, _, err = run("import", "a.jsonl", "--type", "categorization", "--project", "letters")
    assert (code, made(sandbox), "API" in err) == (0, [("a", None)], False)


def test_api_decides_against_the_type(run: Run, sandbox: Sandbox) -> None:
    assert run(*CHATS, "--api", "v1")[0] == 0
    assert made(sandbox) == OVER_1
    code, _, err = run("import", "chats.jsonl", "--type", "categorization", "--project", "suite", "--api", "v2")
    assert code == 2
    assert "API v2 (GenAI) makes no tasks of type categorization, only chat, chatexperimental" in err
    assert "leave --api out" in err


def test_a_profile_decides_as_well(run: Run, sandbox: Sandbox) -> None:
    Path("config").mkdir()
    Path("config/old.toml").write_text('api = "v1"\n')
    assert run(*CHATS, "--profile", "old")[0] == 0
    assert made(sandbox) == OVER_1


def test_chats_that_a_ledger_holds_over_version_1_go_on_there(run: Run, sandbox: Sandbox) -> None:
    """Its rows know the records by their unique_id, so over version 2 each of them would become a second task."""
    assert run(*CHATS, "--api", "v1", "--limit", "2", "--job", "letters")[0] == 0
    assert made(sandbox) == OVER_1[:2]
    code, _, err = run(*CHATS, "--job", "letters")
    assert (code, made(sandbox)) == (0, OVER_1)
    assert f"tasks of type chat stay at {sandbox.base_url}, as job letters began; --api v2 makes" in err
    code, _, err = run(*CHATS)
    assert (code, made(sandbox), "stay at" in err) == (0, OVER_1, True), "under another name as well"
    code, _, err = run(*CHATS[:3], "chatlite", *CHATS[4:])
    assert (made(sandbox), "tasks of type chatlite stay at" in err) == (OVER_1, True), "version 2 makes them alike"
    sandbox.store.genai("test").add_project("others", "SFT")
    assert run(*CHATS[:-1], "others")[0] == 0
    assert made(sandbox) == OVER_1 + OVER_2, "another project began nowhere"


def test_commands_about_a_job_name_the_platform_where_it_is(run: Run, sandbox: Sandbox) -> None:
    Path("chats.jsonl").write_text(json.dumps({**ROWS[0], "callback_url": 7}) + "\n")
    code, out, _ = run(*CHATS, "--job", "letters")
    assert code == 1
    assert "scalesync retry --job letters --project suite --api v2" in out
    for command in (("retry",), ("verify",), ("status", "--refresh")):
        assert run(*command, "--job", "letters", "--api", "v2")[0] != 2, command
    for command in (("verify",), ("retry",), ("status", "--refresh")):
        for args in (("--job", "letters"), ()):
            code, _, err = run(*command, *args)
            assert (code, "there is one elsewhere: use --api v2" in err) == (2, True), err


def test_failures_lead_to_the_version_where_their_job_is(run: Run) -> None:
    assert run(*CHATS, "--job", "letters")[0] == 0
    Path("chats.jsonl").write_text(json.dumps({**ROWS[0], "callback_url": "https://example.com/x"}) + "\n")
    assert run(*CHATS, "--job", "letters")[0] == 1
    _, out, _ = run("failures")
    assert "to see what changed in letters: scalesync verify --job letters --api v2\n" in out
    _, out, _ = run("failures", "--api", "v2")
    assert "to see what changed in letters: scalesync verify --job letters --api v2\n" in out, "and once alone"


def test_a_folder_of_another_project_is_refused_with_that(run: Run, sandbox: Sandbox) -> None:
    export = ("export", "--api", "v2", "--with", "list=deliveries", "--out")
    sandbox.store.genai("test").add_project("others", "SFT")
    assert run(*export, "all")[0] == run(*export, "one", "--project", "suite")[0] == 0
    for out, project, words in (("all", "suite", "of no one project"), ("one", "others", "of project suite")):
        code, _, err = run(*export, out, "--project", project)
        assert (code, f"{words}; choose another --out" in err) == (2, True), err


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_address_without_its_version_is_named_not_the_project(run: Run, sandbox: Sandbox, version: str) -> None:
    for name in (("--project", "suite"), ("--batch", "pilot")):
        code, _, err = run("export", "--out", "x", "--api", version, *name, "--base-url", sandbox.origin)
        assert (code, f"did you mean {sandbox.origin}/{version}?" in err) == (2, True), err


def test_a_ledger_at_another_spelling_of_the_address_counts_as_well(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*CHATS, "--api", "v1", "--limit", "2")[0] == 0
    monkeypatch.setenv("SCALE_API_URL", sandbox.base_url.removesuffix("v1") + "v2")
    code, _, err = run(*CHATS)
    assert (code, made(sandbox), "stay at" in err) == (2, OVER_1[:2], True), "that is no address of version 1"
    assert "did you mean" in err


def test_failures_name_all_tasks_of_a_key(run: Run, sandbox: Sandbox) -> None:
    harness = ChatHarness()
    refs = [harness.make(sandbox, "key-1", {**ROWS[1], "metadata": {}}) for _ in range(2)]
    assert run(*CHATS, env={"SCALE_API_KEY": harness.key})[0] == 1
    code, out, _ = run("failures", env={"SCALE_API_KEY": harness.key})
    assert (code, f"tasks {', '.join(refs)}" in out) == (0, True), out


def test_commands_for_single_calls_take_no_version_from_a_profile(run: Run) -> None:
    Path("config").mkdir()
    Path("config/new.toml").write_text('api = "v2"\n')
    for words in (("projects", "list"), ("genai-projects", "list")):
        code, out, err = run("scale", *words, "--profile", "new")
        assert (code, "suite" in out) == (0, True), err


def test_types_show_what_a_chat_needs(run: Run) -> None:
    code, out, _ = run("types", "chat")
    assert (code, "template_variables" in out, "callback_url" in out) == (0, True, True)


def test_an_option_of_another_version_names_that(run: Run) -> None:
    code, _, err = run("export", "--project", "suite", "--out", "x", "--with", "landing_s=0")
    assert (code, "no option 'landing_s'" in err, "--api v2 has it" in err) == (2, True, True), err
    code, _, err = run(*CHATS, "--with", "landing_s=0", "--api", "v1")
    assert (code, "no option 'landing_s'" in err, "--api v2 has it" in err) == (2, True, True), err
    code, _, err = run(*CHATS[:3], "categorization", *CHATS[4:], "--with", "landing_s=0")
    assert (code, "no option 'landing_s'" in err) == (2, True), err


def test_a_type_that_chooses_a_version_brings_its_options(run: Run, sandbox: Sandbox) -> None:
    code, _, err = run(*CHATS, "--with", "landing_s=soon")
    assert (code, "use seconds from 0 to 86400" in err) == (2, True)
    code, _, err = run(*CHATS, "--with", "landng_s=0")
    assert (code, made(sandbox)) == (2, []), err
    code, _, err = run(*CHATS, "--with", "landing_s=0")
    assert (code, made(sandbox)) == (0, OVER_2), err
    Path("scalesync.db").unlink()
    code, _, err = run("ledger", "rebuild", *CHATS[1:], "--with", "landing_s=0")
    assert code == 0, err


def test_an_option_of_a_version_that_the_ledger_does_not_leave_for_is_refused(run: Run, sandbox: Sandbox) -> None:
    assert run(*CHATS, "--api", "v1", "--limit", "2")[0] == 0
    code, _, err = run(*CHATS, "--with", "landing_s=0")
    assert (code, "no option 'landing_s'" in err, "--api v2 has it" in err) == (2, True, True), err
    assert made(sandbox) == OVER_1[:2]


def test_a_rebuild_and_a_dry_run_choose_as_the_import_does(run: Run, sandbox: Sandbox) -> None:
    assert run(*CHATS, "--dry-run")[0] == 0
    assert made(sandbox) == []
    assert run(*CHATS)[0] == 0
    Path("scalesync.db").unlink()
    code, out, _ = run("ledger", "rebuild", *CHATS[1:], "--json")
    assert (code, json.loads(out)["created"] + json.loads(out)["adopted"]) == (0, len(ROWS))
    assert run(*CHATS)[0] == 0
    assert made(sandbox) == OVER_2


@pytest.mark.parametrize("given", [True, False])
async def test_a_program_chooses_as_the_command_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, given: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    sandbox = Sandbox(SandboxConfig(seed=7))
    sandbox.store.genai("test").add_project("suite", "SFT")
    async with sandbox:
        monkeypatch.setenv("SCALE_API_KEY", "test_k")
        monkeypatch.setenv("SCALE_API_URL", sandbox.base_url)
        settings = resolve_settings() if given else None
        summary = await import_tasks(ROWS, type="chat", project="suite", job="chats", settings=settings)
        assert (summary.created, made(sandbox)) == (len(ROWS), OVER_2)
        with pytest.raises(ConfigError, match="needs project="):
            await import_tasks(ROWS, type="chat", job="more", settings=settings)


def test_the_example_of_import_md(run: Run, sandbox: Sandbox) -> None:
    """The table and the template of the page, imported by its command."""
    page = (ROOT / "docs" / "import.md").read_text("utf-8")
    for kind, name in (("csv", "questions.csv"), ("toml", "chats.toml")):
        Path(name).write_text(page.partition(f"```{kind}\n")[2].partition("```")[0])
    (line,) = [line.strip() for line in page.splitlines() if "--template chats.toml" in line]
    sandbox.store.genai("test").add_project("tower", "SFT")
    code, _, err = run(*line.split()[1:])
    assert code == 0, err
    found = sorted(sandbox.store.world("test").documents(), key=lambda task: task["metadata"][LABEL])
    assert [(task["batch"], task["params"]["template_variables"], task["metadata"]) for task in found] == [
        (
            "pilot",
            {"prompt": "How tall is the tower?", "language": "en"},
            {"source": "forum", LABEL: "q-1"},
        ),
        (
            "pilot",
            {"prompt": "Wie hoch ist der Turm?", "language": "de"},
            {"source": "forum", LABEL: "q-2"},
        ),
    ]
