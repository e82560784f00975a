"""What Python offers beside the command line: records as they are, typed options, sentences that name arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from scalesync import ConfigError, Settings, export_tasks, import_tasks, job_status, list_failures, retry_failed
from scalesync.api import ExportArguments, ImportArguments, in_python
from scalesync.errors import SourceError
from scalesync.flows.runtime.options import ExportOptions, ImportOptions
from tests.conftest import KIND, PROJECT, Notebook, SandboxMaker, letter

RECORDS = [letter(number) for number in range(7)]
COLUMNS = {
    "unique_id": [f"t{number}" for number in range(3)],
    "attachment": ["a", "b", "c"],
    "attachment_type": ["text"] * 3,
    "categories": [["x", "y"]] * 3,
    "made": [datetime(2026, 4, number + 1, tzinfo=UTC) for number in range(3)],
}


class Stream:
    """A table of another library: all that is known of it is Arrow's protocol."""

    def __init__(self, table: pyarrow.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Once:
    """An iterator that can be gone through once."""

    def __init__(self) -> None:
        self._every = iter(RECORDS)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._every


@pytest.mark.parametrize(
    "sources",
    [
        lambda: RECORDS,
        lambda: tuple(RECORDS),
        lambda: (record for record in RECORDS),
        Once,
        dict(enumerate(RECORDS)).values,
    ],
    ids=["list", "tuple", "generator", "iterable", "view"],
)
async def test_any_iterable_of_dictionaries_is_a_source(
    sources: Callable[[], Any], make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    sandbox = await make_sandbox()
    settings = settings_for(sandbox)
    expected = len(RECORDS)
    done = await import_tasks(sources(), type=KIND, project=PROJECT, job="records", settings=settings, yes=True)
    assert (done.read, done.created, done.exit_code) == (expected, expected, 0)
    again = await import_tasks(sources(), type=KIND, project=PROJECT, job="records", settings=settings, yes=True)
    assert (again.created, again.exit_code, len(list(sandbox.store.world("live").tasks))) == (expected, 0, expected)


@pytest.mark.parametrize("kind", ["arrow", "protocol", "pandas", "polars"])
async def test_a_table_is_read_as_its_parquet_file_is(
    kind: str, make_sandbox: SandboxMaker, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    sandbox = await make_sandbox()
    settings = settings_for(sandbox)
    table = pyarrow.table(COLUMNS)
    made = {
        "arrow": lambda: table,
        "protocol": lambda: Stream(table),
        "pandas": lambda: pytest.importorskip("pandas").DataFrame(COLUMNS).iloc[[2, 0, 1]],
        "polars": lambda: pytest.importorskip("polars").DataFrame(COLUMNS),
    }[kind]()
    done = await import_tasks(made, type=KIND, project=PROJECT, job="table", settings=settings)
    assert (done.read, done.created) == (3, 3)
    pyarrow.parquet.write_table(table, tmp_path / "table.parquet")
    file = await import_tasks(tmp_path / "table.parquet", type=KIND, project=PROJECT, settings=settings)
    assert (file.created, file.conflicts, file.exit_code) == (3, 0, 0)


async def test_records_need_a_name_for_the_job(
    make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match=r"records that a program gives need a name for the job: add job=$"):
        await import_tasks(RECORDS, type=KIND, settings=settings_for(sandbox))


async def test_a_type_that_the_platform_needs_is_asked_for(
    make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    settings = settings_for(await make_sandbox())
    with pytest.raises(ConfigError, match="the type of the tasks is missing; name it with type="):
        await import_tasks(RECORDS, project=PROJECT, job="records", settings=settings)


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ({"a": 1}, "not dict"),
        (7, "not int"),
        (b"x", "not bytes"),
        ((name for name in ["a.jsonl"]), "as a list"),
        ([RECORDS[0], 5], "the records given:2: must be a dictionary, not int"),
        ([{"a": object()}], "the records given:1: cannot be written as JSON"),
        ([{"a": object(), "b": None}], "the records given:1: cannot be written as JSON"),
        ([], "there are no records: the list of sources is empty"),
        ((), "there are no records: the tuple of sources is empty"),
    ],
)
async def test_what_is_no_record_is_named(
    sources: Any, says: str, make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    sandbox = await make_sandbox()
    settings = settings_for(sandbox)
    try:
        told = (await import_tasks(sources, type=KIND, project=PROJECT, job="j", settings=settings)).message
    except (ConfigError, SourceError) as error:
        told = str(error)
    assert says in told


@dataclass
class Score:
    value: float


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        ({"score": float("nan")}, "metadata.score"),
        ({"a": [1, {"b": float("-inf")}]}, "metadata.a.b"),
        ({"large": 2**70, "score": float("inf")}, "metadata.score"),
        ({"at": datetime(2026, 4, 1, tzinfo=UTC), "score": (float("nan"),)}, "metadata.score"),
        ({"judged": Score(float("nan"))}, "metadata.judged.value"),
    ],
)
async def test_nan_in_a_record_makes_it_invalid_under_its_field(
    odd: dict[str, Any], named: str, make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    sandbox = await make_sandbox()
    settings = settings_for(sandbox)
    records = [letter(0, metadata={"score": None}), letter(1, metadata=odd), letter(2, metadata={"note": "null, NaN"})]
    done = await import_tasks(records, type=KIND, project=PROJECT, job="j", settings=settings)
    assert (done.read, done.created, done.invalid, done.exit_code) == (3, 2, 1, 1)
    (failure,) = (await list_failures("j", settings=settings))[0].examples
    assert failure["line"] == 2
    assert f'NaN and Infinity are not JSON (field "{named}"' in failure["reason"]


@pytest.mark.parametrize("kind", [iter, list])
async def test_more_than_a_thousand_stop_behind_the_thousandth_and_continue_with_yes(
    kind: Callable[[Any], Any], make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    settings = settings_for(await make_sandbox())
    records = [letter(number) for number in range(1001)]
    done = await import_tasks(kind(records), type=KIND, project=PROJECT, job="j", settings=settings)
    assert (done.created, done.exit_code) == (1000, 3)
    assert "give the same input to the same call with yes=True to send the rest" in done.message
    done = await import_tasks(kind(records), type=KIND, project=PROJECT, job="j", settings=settings, yes=True)
    assert (done.created, done.exit_code) == (1001, 0)


class Mishap(Exception):
    """Of the program that gives the records."""


async def test_what_the_giving_program_raises_comes_out_as_it_was_and_the_next_call_continues(
    make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    sandbox = await make_sandbox()
    settings = settings_for(sandbox)

    def broken() -> Iterator[dict[str, Any]]:
        yield from RECORDS
        raise Mishap("the database went away")

    with pytest.raises(Mishap, match=r"^the database went away$"):
        await import_tasks(broken(), type=KIND, project=PROJECT, job="j", settings=settings, yes=True)
    (status,) = await job_status("j", settings=settings)
    assert status.message == "ended by Mishap"
    done = await import_tasks(iter(RECORDS), type=KIND, project=PROJECT, job="j", settings=settings, yes=True)
    assert (done.created, done.exit_code) == (len(RECORDS), 0)


async def test_failed_records_are_sent_again_when_they_are_given_again(
    make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    sandbox = await make_sandbox()
    settings = settings_for(sandbox)
    bad = [{"unique_id": "bad", "categories": ["a"]}, *RECORDS]
    done = await import_tasks(bad, type=KIND, project=PROJECT, job="j", settings=settings)
    assert (done.failed, done.exit_code) == (1, 1)
    assert await list_failures("j", project="elsewhere", settings=settings) == []
    with pytest.raises(ConfigError, match="elsewhere"):
        await retry_failed("j", project="elsewhere", settings=settings)
    retried = await retry_failed("j", project=PROJECT, settings=settings)
    assert "call import_tasks with the same records" in retried.message
    assert "--" not in retried.message
    assert await list_failures("j", settings=settings) == []
    done = await import_tasks([RECORDS[0] | {"unique_id": "bad"}, *RECORDS], type=KIND, project=PROJECT, job="j",
                              settings=settings)  # fmt: skip
    assert (done.created, done.failed, done.exit_code) == (len(RECORDS) + 1, 0, 0)


async def test_an_address_as_folder_of_an_export_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^s3://bucket/data is an address; name a file or folder of this machine$"):
        await export_tasks("s3://bucket/data?token=hidden")


async def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"import_tasks\(\) has no option 'projet'; did you mean 'project'\?"):
        await import_tasks("a.jsonl", type=KIND, projet="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"export_tasks\(\) has no option 'tag'; did you mean 'tags'\?"):
        await export_tasks("out", tag="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"export_tasks\(\) has no option 'reading'"):
        await export_tasks("out", reading=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="observer must be 'rich'"):
        await import_tasks("a.jsonl", type=KIND, observer="colourful")  # type: ignore[arg-type]


def test_the_typed_options_are_those_of_the_flows() -> None:
    imports = {field.name for field in fields(ImportOptions)} - {"sources", "type", "template"}
    assert set(ImportArguments.__annotations__) == imports
    assert set(ExportArguments.__annotations__) == {field.name for field in fields(ExportOptions)} - {"out", "reading"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("add --yes to continue, or --max-new to limit it", "add yes=True to continue, or max_new= to limit it"),
        ("--set a: invalid; --input-format jsonl", "sets= a: invalid; format= jsonl"),
        ("the file a--b.jsonl", "the file a--b.jsonl"),
    ],
)
def test_sentences_name_arguments(ours: str, theirs: str) -> None:
    assert in_python(ours) == theirs


async def test_rich_shows_progress_and_leaves_nothing_behind(
    make_sandbox: SandboxMaker, settings_for: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = await make_sandbox()
    done = await import_tasks(
        RECORDS, type=KIND, project=PROJECT, job="j", settings=settings_for(sandbox), observer="rich"
    )
    assert done.created == len(RECORDS)
    assert capsys.readouterr().out == ""


async def test_notes_of_the_settings_reach_the_observer(
    make_sandbox: SandboxMaker, settings_for: Callable[..., Settings], notebook: Notebook
) -> None:
    sandbox = await make_sandbox()
    settings = replace(settings_for(sandbox), notes=("use --profile",))
    await import_tasks(RECORDS, type=KIND, project=PROJECT, job="j", settings=settings, observer=notebook)
    assert notebook.notes[0] == "use profile="
    assert (await job_status("j", settings=settings))[0].message == ""


@pytest.mark.parametrize("wrong", ["adpot", "", None])
async def test_a_way_to_handle_conflicts_that_there_is_not_is_refused(
    wrong: Any, make_sandbox: SandboxMaker, settings_for: Callable[..., Settings]
) -> None:
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match=r"on_conflict= takes report, adopt, stop, not "):
        await import_tasks(
            RECORDS, type=KIND, project=PROJECT, job="j", on_conflict=wrong, settings=settings_for(sandbox)
        )
