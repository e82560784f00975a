"""scalesync scale NOUN VERB: every row of the table has its command, and every option reaches its place."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import click
import pytest

from scalesync.cli.main import cli
from scalesync.cli.main import run as program
from scalesync.cli.resources import call, upload
from scalesync.errors import ConfigError, OutcomeUnknown, Unavailable
from scalesync.platforms.scale.api.endpoint import Endpoint, Kind, Param, request_of
from scalesync.platforms.scale.api.errors import ScaleForbidden, ScaleResourceNotFound, ScaleUnauthorized
from scalesync.platforms.scale.api.table import ENDPOINTS, ROWS
from scalesync.scale.resources import RESOURCES

from .conftest import Ended, Run, sandbox

TIME = "2026-01-02T03:04:05.000Z"
Go = Callable[..., Ended]


class Recorder:
    """Takes the calls in place of the server, and answers with `answers`, the last of them again and again."""

    def __init__(self) -> None:
        self.made: list[tuple[Endpoint, Mapping[str, Any], Path | None]] = []
        self.answers: list[Any] = [None]

    async def call(self, row: Endpoint, arguments: Mapping[str, Any], file: Path | None = None) -> Any:
        self.made.append((row, arguments, file))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pages(
        self, row: Endpoint, arguments: Mapping[str, Any], limit: int | None
    ) -> AsyncIterator[tuple[list[Any], bool]]:
        answer = await self.call(row, arguments)
        pages = answer or [[]]
        for number, page in enumerate(pages, 1):
            yield page, number < len(pages)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()

    @asynccontextmanager
    async def opened(*given: object) -> AsyncIterator[Recorder]:
        yield recorder

    def runs(flow: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return asyncio.run(flow(*args))  # type: ignore[arg-type]

    monkeypatch.setattr(call, "open_resources", opened)
    monkeypatch.setattr(call, "run_async", runs)
    return recorder


def command(row: Endpoint) -> click.Command:
    found: click.Command = cli
    for word in ("scale", row.noun, row.verb):
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word) or pytest.fail(f"no {word}")
    return found


def sample(param: Param) -> Any:
    match param.kind:
        case _ if param.choices:
            return [param.choices[0]] if param.kind is Kind.TEXTS else param.choices[0]
        case Kind.NUMBER:
            return 7
        case Kind.FLAG:
            return param.name != "merge"
        case Kind.TIME:
            return TIME
        case Kind.TEXTS:
            return [f"{param.name} 1", f"{param.name}/2"]
        case Kind.OBJECT:
            return {f"a {param.name}": [1, "ü"]}
        case Kind.DOCUMENT:
            return {"name": "a/b", "stages": [{"name": "boxes", "taxonomy": {"labels": ["ü"]}}]}
    return f"{param.name} of/it"


def typed(row: Endpoint, given: Mapping[str, Any]) -> list[str]:
    """The command line of these arguments, positions last."""
    options, places = [], []
    for parameter in command(row).params:
        value = given.get(parameter.name or "")
        if value is None:
            continue
        words = [json.dumps(value) if isinstance(value, dict) else str(value)]
        if isinstance(value, list):
            words = [str(item) for item in value]
        if isinstance(parameter, click.Argument):
            places += words
        elif isinstance(value, bool):
            options.append(parameter.opts[0] if value else parameter.secondary_opts[0])
        else:
            options += [word for item in words for word in (parameter.opts[0], item)]
    return ["scale", row.noun, row.verb, *options, "--", *places]


def possible(row: Endpoint) -> Iterator[dict[str, Any]]:
    """All arguments at once; where one of several may be given, one set for each of them."""
    groups = row.any_of or ((),)
    (group,) = groups
    second = {name for pair in row.twins for name in pair[1:] if name not in group}
    for chosen in group or ("",):
        left = {*group, *second} - {chosen}
        yield {param.name: sample(param) for param in row.params if param.name not in left}


TOML = """
name = "drive"
[[stages]]
name = "boxes"
taxonomy.labels = ["car"]
"""
DRIVE = {"name": "drive", "stages": [{"name": "boxes", "taxonomy": {"labels": ["car"]}}]}


@pytest.mark.parametrize("word", ["drive.toml", "@drive.toml", "drive.json", '{"name"'])
def test_a_document_is_a_file_of_toml_or_json(run_here: Go, server: Recorder, tmp_path: Path, word: str) -> None:
    (tmp_path / "drive.toml").write_text(TOML)
    (tmp_path / "drive.json").write_text(json.dumps({**DRIVE, "active": True}))
    server.answers = [DRIVE]
    typed = json.dumps(DRIVE) if word.startswith("{") else word
    ended = run_here("scale", "blueprints", "push", "street", typed)
    assert ended.code == 0, ended.err
    ((row, arguments, _),) = server.made
    assert json.loads(request_of(row, arguments).body or b"") == DRIVE


@pytest.mark.parametrize("name", ["drive.toml", "drive.json"])
def test_a_mark_of_utf_8_before_a_document_is_passed_over(
    run_here: Go, server: Recorder, tmp_path: Path, name: str
) -> None:
    text = TOML if name.endswith(".toml") else json.dumps(DRIVE)
    (tmp_path / name).write_text(text.replace("\n", "\r\n"), "utf-8-sig", newline="")
    server.answers = [DRIVE]
    ended = run_here("scale", "blueprints", "push", "street", name)
    assert ended.code == 0, ended.err
    ((row, arguments, _),) = server.made
    assert json.loads(request_of(row, arguments).body or b"") == DRIVE


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (
            "drive.toml",
            TOML.replace("car", "\xe9").encode("latin-1"),
            "drive.toml: not TOML: is not valid UTF-8 (byte 0xe9",
        ),
        (
            "drive.json",
            json.dumps(DRIVE).encode("utf-16"),
            "drive.json: not JSON: is not valid UTF-8 (byte 0xff at byte 1)",
        ),
        ("drive", TOML.encode(), "a file whose name does not end in .toml is read as JSON"),
    ],
)
def test_a_document_in_another_form_is_refused_with_what_to_do(
    run_here: Go, server: Recorder, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)
    ended = run_here("scale", "blueprints", "push", "street", name)
    assert (ended.code, server.made) == (2, [])
    assert words in ended.err
    assert "--encoding" not in ended.err  # the command has no such option


def test_what_json_cannot_hold_is_not_sent_as_something_else() -> None:
    (push,) = (row for row in ROWS if row.name == "create_blueprint")
    for odd in ("inf", "-inf", "nan"):
        stages = [{**DRIVE["stages"][0], "parameters": {"most": float(odd), "least": None}}]
        with pytest.raises(ConfigError, match="an argument holds NaN or an infinity"):
            request_of(push, {"project_name": "street", "blueprint": {**DRIVE, "stages": stages}})


def test_a_blueprint_with_findings_is_not_sent(run_here: Go, server: Recorder, tmp_path: Path) -> None:
    (tmp_path / "drive.toml").write_text(TOML + 'after = ["boxs"]\nwen = 1\n')
    ended = run_here("scale", "blueprints", "push", "street", "drive.toml")
    assert ended.code == 2
    assert not server.made
    assert "push blueprint: 2 things are wrong: stage 'boxes' has an unknown member 'wen'" in ended.err
    assert "did you mean 'when'?" in ended.err
    assert "stage 'boxes' is after 'boxs', which is not a stage; did you mean 'boxes'?" in ended.err
    (tmp_path / "broken.toml").write_text("name = ")
    broken = run_here("scale", "blueprints", "push", "street", "broken.toml")
    assert (broken.code, server.made) == (2, [])
    assert "broken.toml: not TOML: " in broken.err


def test_a_blueprint_is_shown_as_json_and_made_active_after_a_yes(run_here: Go, server: Recorder) -> None:
    server.answers = [DRIVE]
    shown = run_here("scale", "blueprints", "show", "street", "drive")
    assert json.loads(shown.out) == DRIVE
    server.made.clear()
    asked = run_here("scale", "blueprints", "activate", "street", "drive")
    assert (asked.code, server.made) == (2, [])
    assert run_here("scale", "blueprints", "activate", "street", "drive", "--yes").code == 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.flag)
def test_every_option_of_every_row_reaches_its_place_in_the_request(
    row: Endpoint, run_here: Go, server: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "kitten.jpg").write_bytes(b"k")
    file = ["kitten.jpg"] if row.uploads else []
    for given in possible(row):
        server.answers = [[[]] if row.is_list else {"id": "made"}]
        more = ["--yes"] if row.asks else []
        words = typed(row, given)
        place = words.index("--")
        ended = run_here(*words[:place], *more, *words[place:], *file)
        assert ended.code == 0, ended.err
        made, arguments, sent = server.made.pop()
        assert made is row
        assert not server.made
        assert sent == (Path("kitten.jpg") if row.uploads else None)
        assert request_of(row, arguments) == request_of(row, given)
        assert arguments.keys() == given.keys()


def test_the_commands_have_names_of_their_own_and_help_for_everything() -> None:
    assert Counter(f"{row.noun} {row.verb}" for row in ROWS).most_common(1)[0][1] == 1
    for row in ROWS:
        built = command(row)
        names = [name for parameter in built.params for name in (*parameter.opts, *parameter.secondary_opts)]
        assert [name for name, times in Counter(names).items() if times > 1] == [], row.flag
        text = " ".join(built.get_help(click.Context(built, info_name=row.flag)).split())
        assert row.words[1:] in text
        for parameter in built.params:
            assert getattr(parameter, "help", None), f"{row.flag} {parameter.name}"
        assert {name for name in names if name.startswith("--") and name not in text} == set()
        assert (f"asks before: {row.asks}" in text) == bool(row.asks)
        assert {param.name for param in row.params} <= {parameter.name for parameter in built.params}


def test_filters_have_the_names_that_export_gives_them() -> None:
    export = cli.get_command(click.Context(cli), "export")
    assert export is not None
    theirs = {name for parameter in export.params for name in parameter.opts if name in FILTERS}
    ours = {name for parameter in command(ENDPOINTS["get_tasks"]).params for name in parameter.opts}
    assert theirs == FILTERS
    assert theirs <= ours


FILTERS = {
    *("--project", "--batch", "--type", "--status", "--review-status", "--tag"),
    *(f"--{time}-{side}" for time in ("created", "updated", "completed") for side in ("after", "before")),
}


@pytest.mark.parametrize("place", range(4))
def test_common_options_may_be_given_anywhere(run_here: Go, server: Recorder, place: int) -> None:
    server.answers = [[[{"task_id": "t"}]]]
    words = ["scale", "tasks", "list"]
    plain = run_here(*words, "--json")
    assert json.loads(plain.out) == {"items": [{"task_id": "t"}], "more": False}
    assert run_here(*words[:place], "--json", *words[place:]) == plain
    wrong = run_here(*words[:place], "--rate", "often", *words[place:])
    assert (wrong.code, "often" in wrong.err) == (2, True)
    nearer = run_here(*words[:place], "--rate", "often", *words[place:], "--rate", "5", "--json")
    assert nearer == plain or place == 3, "the last place wins"
    refused = run_here(*words[:place], "--no-such-thing", *words[place:])
    assert (refused.code, "--no-such-thing" in refused.err) == (2, True)


def test_the_examples_are_right_usage(run_here: Go, server: Recorder, tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text('{"attachment": "x"}')
    (tmp_path / "kitten.jpg").write_bytes(b"k")
    (tmp_path / "drive-v1.toml").write_text(TOML)
    for line in RESOURCES.examples:
        server.answers = [[[]] if " list" in line or "invite" in line else {"id": "made"}]
        noun, verb, *rest = line.split()
        row = next(row for row in ROWS if (row.noun, row.verb) == (noun, verb))
        assert run_here("scale", noun, verb, *rest, *(["--yes"] if row.asks else [])).code == 0, line


def test_what_costs_money_or_concerns_people_asks(
    run_here: Go, server: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("scale", "tasks", "cancel", "t1")
    ended = run_here(*args)
    assert (ended.code, ended.out, server.made) == (2, "", [])
    assert ended.err == (
        "scalesync: cancel task: a task that is canceled cannot be brought back;"
        " there is no terminal to ask at, so add --yes to continue\n"
    )
    asked: list[str] = []
    monkeypatch.setattr(call, "asker", lambda mask: lambda question: asked.append(question) or len(asked) > 1)
    ended = run_here(*args)
    assert (ended.code, server.made) == (3, [])
    assert "nothing was sent" in ended.err
    assert run_here(*args).out == "cancel task: done\n"
    assert asked == ["cancel task: a task that is canceled cannot be brought back. Continue?"] * 2
    assert len(server.made) == 1
    assert run_here("scale", "tasks", "cancel", "t1", "--yes").code == 0
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("error", "more", "code"),
    [
        (ScaleResourceNotFound("get task: Task not found", status=404), "", 1),
        (
            ScaleUnauthorized("get task: no such key", status=401),
            " (401); correct the key and run the same command",
            3,
        ),
        (ScaleForbidden("get task: not yours", status=403), " (403); use a key that may do this", 3),
        (Unavailable("get task: no connection"), "", 3),
        (OutcomeUnknown("get task: no answer"), "", 3),
    ],
)
def test_errors_are_one_sentence_and_a_code(
    run_here: Go, server: Recorder, error: Exception, more: str, code: int
) -> None:
    server.answers = [error]
    ended = run_here("scale", "tasks", "get", "t1")
    assert ended == Ended(code, "", f"scalesync: {error}{more}\n")
    ended = run_here("scale", "tasks", "get", "t1", "--json")
    assert json.loads(ended.out) == {"error": f"{error}{more}", "exit_code": code}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("tasks list --created-after soon", "--created-after takes a time such as"),
        ("tasks create t --fields {", "'--fields': not JSON: unexpected end"),
        ("tasks create t --fields a=1", "@FILE takes it from a file"),
        ("tasks create t --fields [1]", "must be a JSON object"),
        ("tasks create t --fields @none.json", "none.json: cannot be read: No such file"),
        ("tasks create t --fields @bad.json", "bad.json: not JSON: "),
        ("tasks lst", "did you mean 'list'?"),
        ("tasks list --limit 0", "--limit"),
        ("tasks list --json --jsonl", "give one of them"),
        ("tasks list --projet p", "did you mean '--project'?"),
        ("tasks get ..", "TASK_ID must be a name"),
        ("team invite a@example.com --role boss --yes", "'boss' is not one of"),
        ("studio update-group p g --yes", "give --add-email or --remove-email"),
        ("genai-batches get", "give --batch-id or --batch"),
        (
            "genai-batches cancel --batch a --batch-id b --yes",
            "--batch-id and --batch are two names for one thing; giv",
        ),
        ("genai-tasks list --project a --project-id b", "--project-id and --project are two names for one thing"),
        ("deliveries get --delivery a --delivery-id b", "--delivery-id and --delivery are two names for one thing"),
        ("tasks list --page-size 0", "list tasks: --page-size must be from 1 to 100, not 0"),
        ("batches list --page-size 101", "list batches: --page-size must be from 1 to 100, not 101"),
        ("datasets delivery d --page-size -1", "get delivery: --page-size must be from 1 to 100, not -1"),
        ("tasks audit t --yes", "--accepted or --no-accepted must be given"),
        ("batches cancel march", "there is no 'cancel'; there are create, get, list, status, "),
        ("--platform other tasks list", "takes no --platform"),
        ("files upload none.jpg", "none.jpg: no such file"),
        ("files upload bad.json bad.json --reference-id r", "--reference-id is the name of one file"),
        ("tasks list --platform other", "no option --platform"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    run_here: Go, server: Recorder, tmp_path: Path, words: str, told: str
) -> None:
    (tmp_path / "bad.json").write_text('{"a": }')
    ended = run_here("scale", *words.split())
    assert ended.code == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1
    assert not server.made


def test_a_list_is_a_table_for_people_and_json_for_programs(run_here: Go, server: Recorder) -> None:
    tasks = [
        {"task_id": f"t{number}", "type": "x" * 60, "project": {"id": "p1", "name": "reviews"}, "params": {}}
        for number in range(4)
    ]
    server.answers = [[tasks[:2], [], tasks[2:]]]
    ended = run_here("scale", "tasks", "list", "--limit", "3")
    head, *rows = ended.out.splitlines()
    assert head.split() == ["task_id", "type", "project"]
    assert [row.split() for row in rows] == [[f"t{number}", f"{'x' * 45}...", "reviews"] for number in range(3)]
    assert ended.err == "3 rows; there are more: --limit N shows N of them\n"
    assert run_here("scale", "tasks", "list").err == "4 rows\n"
    assert json.loads(run_here("scale", "tasks", "list", "--json").out) == {"items": tasks, "more": False}
    ended = run_here("--json", "scale", "tasks", "list", "--limit", "2")
    assert json.loads(ended.out) == {"items": tasks[:2], "more": True}
    lines = run_here("scale", "tasks", "list", "--jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == tasks
    server.answers = [[[]]]
    assert run_here("scale", "tasks", "list").out == "nothing found\n"
    assert json.loads(run_here("scale", "tasks", "list", "--json").out) == {"items": [], "more": False}


def test_a_thing_is_shown_line_by_line(run_here: Go, server: Recorder) -> None:
    task = {
        "params": {"a": 1},
        "tags": ["b", "c"],
        "is_test": True,
        "status": "pending",
        "task_id": "t1",
        "batch": None,
    }
    server.answers = [task]
    lines = [line.split(maxsplit=1) for line in run_here("scale", "tasks", "get", "t1").out.splitlines()]
    assert lines == [
        ["task_id", "t1"],
        ["status", "pending"],
        ["params", '{"a": 1}'],
        ["tags", "b, c"],
        ["is_test", "yes"],
    ]
    assert json.loads(run_here("scale", "tasks", "get", "t1", "--json").out) == task
    server.answers = [{"ada@example.com": ["p", "q"]}]
    assert run_here("scale", "studio", "assignments").out == "ada@example.com  p, q\n"
    server.answers = ["https://files.example/1"]
    address = ("scale", "datasets", "response-url", "t1", "a1")
    assert run_here(*address).out == "https://files.example/1\n"
    assert json.loads(run_here(*address, "--json").out) == {"result": "https://files.example/1"}


def test_an_object_comes_from_a_file_or_from_standard_input(
    run_here: Go, server: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"attachment": "a", "number": 2**70}
    (tmp_path / "task.json").write_text(json.dumps(fields))
    assert run_here("scale", "tasks", "create", "categorization", "--fields", "@task.json", "--yes").code == 0
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b'{"gold": true}')))
    assert run_here("scale", "tasks", "set-metadata", "t1", "@-").code == 0
    assert [arguments for _, arguments, _ in server.made] == [
        {"task_type": "categorization", "fields": fields},
        {"task_id": "t1", "metadata": {"gold": True}},
    ]


def test_files_that_are_refused_do_not_stop_the_others(run_here: Go, server: Recorder, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"x")
    refused = ScaleResourceNotFound("upload file: too large", status=400)
    server.answers = [{"id": "f1"}, refused, {"id": "f3"}]
    ended = run_here("scale", "files", "upload", "a", "b", "c", "--json")
    assert ended.code == 1
    assert json.loads(ended.out) == {
        "items": [{"file": "a", "id": "f1"}, {"file": "c", "id": "f3"}],
        "failed": [{"file": "b", "error": "upload file: too large"}],
        "unsent": 0,
    }
    server.answers = [{"id": "f1"}, Unavailable("upload file: no connection")]
    ended = run_here("scale", "files", "upload", "a", "b", "c")
    assert ended.code == 3
    assert ended.out.splitlines()[1].split() == ["a", "f1"]
    assert ended.err == "scalesync: 2 files not uploaded: upload file: no connection\n"
    server.answers = [Unavailable("upload file: no connection")]
    assert run_here("scale", "files", "upload", "a").err == "scalesync: upload file: no connection\n"
    assert upload.ALONE == ("reference_id", "display_name")


def test_a_task_from_its_making_to_its_end_on_the_sandbox(run: Run, tmp_path: Path) -> None:
    fields = {"project": "p", "attachment_type": "text", "attachment": "hello", "categories": ["a", "b"]}
    with sandbox(tmp_path, "--project", "p=categorization", "--set", "test_completion=never") as served:

        def go(*args: str) -> Ended:
            return run("scale", *args, "--base-url", served.base_url)

        made = go("tasks", "create", "categorization", "--fields", json.dumps(fields), "--unique-id", "u1", "--yes")
        assert made.code == 0, made.err
        task_id = made.out.split()[1]
        assert go("tasks", "get", task_id, "--json").json["unique_id"] == "u1"
        assert [item["task_id"] for item in go("tasks", "list", "--unique-id", "u1", "--json").json["items"]] == [
            task_id
        ]
        assert "gold" in go("tasks", "add-tags", task_id, "gold", "hard").out
        assert go("tasks", "cancel", task_id, "--yes").code == 0
        again = go("tasks", "get", "5774cc78b01249ab09f089dd")
        assert (again.code, again.out) == (1, "")
        assert again.err.startswith("scalesync: get task: ")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (("invite", "a@b.c"), "Missing option '--role'. Choose from: labeler, member, manager ("),
        (("invite", "--emails", "a@b.c", "--role", "labeler"), "there is no option --emails ("),
    ],
)
def test_wrong_usage_is_one_line_and_advises_no_argument_as_an_option(
    typed: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program(["scale", "team", *typed]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
