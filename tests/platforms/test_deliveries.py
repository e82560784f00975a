"""Exports of what was delivered: versions, shared and late times, deliveries in the run, lists that lie, the choice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from scalesync.errors import ConfigError
from scalesync.flows.exports.backfill.plan import BackfillOptions, By
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.runtime.options import ExportOptions
from scalesync.http import transport as http
from scalesync.model.outcomes import Presence
from scalesync.model.summaries import ExportSummary
from scalesync.platforms.scale.v2.deliveries import DeliveredLists
from scalesync.platforms.scale.v2.documents import read_chat
from scalesync.platforms.scale.v2.listing import MAX_IDLE_PAGES
from scalesync.sandbox import Sandbox
from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.v2 import deliveries, routes
from scalesync.sandbox.scale.v2.state import Delivery
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.increments import compacted
from scalesync.testing.trial import Trial, listed, on_trial, until_done
from scalesync.times import iso
from tests.flows.fates import Fate
from tests.platforms.chat import ChatHarness
from tests.platforms.delivered import DatasetHarness, DeliveredHarness

CHATS, MINUTE_MS = 45, 60_000
LISTS = ("chats", "deliveries", "dataset")


class Undelivered(DeliveredHarness):
    """Chats that are completed; the test delivers them."""

    def made(self, host: Sandbox) -> None:
        pass


def deliver(trial: Trial, numbers: Iterable[int], at_ms: int, *, corrected: bool = False) -> None:
    """Deliver chats by their numbers at a time of its own, with the answers that they have or with new ones."""
    assert isinstance(trial.host, Sandbox)
    genai = trial.host.store.genai("live")
    tasks = [task for number in numbers if (task := genai.world.by_seq[number]) is not None]
    for task in tasks if corrected else ():
        lifecycle.correct(genai.world, task, None)
    deliveries.deliver(genai, genai.world.project_names["suite"], tasks, at_ms=at_ms)


def listed_deliveries(trial: Trial) -> Sequence[Delivery]:
    return DeliveredHarness.genai(trial.host).delivered.deliveries


def lines_of(trial: Trial, out: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in listed(trial.folder / out)]


def once(trial: Trial, out: str = "out") -> dict[str, str]:
    """The time of delivery of each task, of which there is one line each."""
    lines = lines_of(trial, out)
    found = {line["task_id"]: line["delivered_at"] for line in lines}
    assert len(found) == len(lines), "a task has two lines"
    return found


def test_a_task_of_two_deliveries_in_one_millisecond_is_one_line(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        at_ms = trial.clock() - MINUTE_MS
        deliver(trial, range(30), at_ms)
        deliver(trial, range(20, CHATS), at_ms)
        summary = await trial.export(page_size=10)
        assert (summary.tasks, summary.unsettled, summary.exit_code) == (CHATS, 0, 0), summary
        assert len(once(trial)) == CHATS
        again = await trial.export(incremental=True)
        assert (again.tasks, again.exit_code, len(once(trial))) == (0, 0, CHATS), again

    on_trial(Undelivered(), tmp_path, play)


def test_a_delivery_that_appears_within_the_overlap_is_found_and_a_later_one_by_a_full_check(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        deliver(trial, range(20), trial.clock() - 60 * MINUTE_MS)
        assert (await trial.export(incremental=True)).tasks == 20
        deliver(trial, range(20, 30), trial.clock() - 5 * MINUTE_MS)  # before the watermark, and shown after it
        deliver(trial, range(30, CHATS), trial.clock() - 50 * MINUTE_MS)
        summary = await trial.export(incremental=True)
        assert (summary.tasks, summary.exit_code, len(once(trial))) == (10, 0, 30), summary
        full = await trial.export(incremental=True, full_every="0s")
        assert (full.tasks, full.exit_code, len(once(trial))) == (CHATS - 30, 0, CHATS), full

    on_trial(Undelivered(), tmp_path, play)


def test_an_older_delivery_that_appears_late_brings_no_older_answer(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        newer_ms = trial.clock() - MINUTE_MS
        deliver(trial, range(10), newer_ms, corrected=True)
        await trial.export(incremental=True)
        before = once(trial)
        deliver(trial, range(CHATS), newer_ms - MINUTE_MS)
        assert (await trial.export(incremental=True)).tasks == CHATS - 10
        assert once(trial).items() >= before.items()

    on_trial(Undelivered(), tmp_path, play)


def test_deliveries_during_the_run_are_of_the_next_increment(tmp_path: Path) -> None:
    """While the first delivery is read, the same chats are delivered again, and others for the first time."""

    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        deliver(trial, range(30), trial.clock() - MINUTE_MS)
        trial.clock.ahead_ms += 3_000
        seen: list[Call] = []
        answer = deliveries.list_delivered

        def between(genai: Any, call: Call) -> Any:
            seen.append(call)
            if len(seen) == 2:
                deliver(trial, range(20, CHATS), trial.clock(), corrected=True)
            return answer(genai, call)

        with pytest.MonkeyPatch.context() as patch:
            route = routes.ROUTES["GET", "delivery/tasks"]
            patch.setitem(routes.ROUTES, ("GET", "delivery/tasks"), route._replace(answer=between))
            first = await trial.export(incremental=True, page_size=10)
        assert (first.tasks, first.exit_code, len(once(trial))) == (30, 0, 30), first
        trial.clock.ahead_ms += 3_000
        second = await trial.export(incremental=True, page_size=10)
        assert (second.tasks, second.exit_code) == (CHATS - 20, 0), second
        assert await compacted(trial) == sorted(task.document for task in trial.held())

    on_trial(Undelivered(), tmp_path, play)


@pytest.mark.parametrize(
    ("number", "format"), [*((number, "jsonl") for number in range(4, 12)), (6, "parquet"), (9, "parquet")]
)
def test_a_run_that_stops_at_a_request_reads_the_rest_when_it_resumes(tmp_path: Path, number: int, format: str) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        for first in range(0, 30, 10):
            deliver(trial, range(first, first + 25), trial.clock() - MINUTE_MS + first)
        trial.strike(FaultRule(kind="error", status=400, on="list", at=(number,)))
        stopped = await trial.export(page_size=20, format=format)
        assert stopped.exit_code == 3, stopped
        summary = await trial.export(page_size=20, format=format)
        assert (summary.tasks, summary.unsettled, summary.exit_code) == (CHATS, 0, 0), summary
        if format == "jsonl":
            trial.check_exported()

    on_trial(Undelivered(), tmp_path, play)


@pytest.mark.parametrize("incremental", [False, True])
def test_a_run_that_is_killed_at_any_step_has_each_task_in_its_newest_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, incremental: bool
) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(12)
        for first in (0, 4, 2):
            deliver(trial, range(first, first + 8), trial.clock() - MINUTE_MS + len(listed_deliveries(trial)))
        trial.clock.ahead_ms += 3_000

        async def export(out: str, fate: Fate) -> ExportSummary | None:
            try:
                with fate.over(monkeypatch):
                    return await trial.export(out, page_size=8, incremental=incremental)
            except BaseException:
                if not fate.dead:
                    raise
                return None

        whole = Fate()
        assert await export("steps", whole) is not None
        held = sorted(task.document for task in trial.held())
        for strike in range(1 + incremental, whole.steps + 1, 2):  # right before each step; an increment right after it
            out, fate = f"out{strike}", Fate(strike)
            assert await export(out, fate) is None or fate.nearly(whole)
            summary = await export(out, Fate())
            assert summary is not None
            assert (summary.exit_code, summary.unsettled) == (0, 0), (strike, summary)
            assert sorted(listed(trial.folder / out)) == held, strike

    on_trial(Undelivered(), tmp_path, play)


def test_tasks_may_have_times_that_differ_a_little_from_that_of_their_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut to whole seconds, say: so they are before the delivery, and before the window of an increment."""
    monkeypatch.setattr(deliveries, "time", lambda ms: json.dumps(iso(ms)[:19] + "Z").encode())

    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        deliver(trial, range(30), trial.clock() // 1000 * 1000 - MINUTE_MS + 900)
        deliver(trial, range(20, 40), trial.clock() // 1000 * 1000 - MINUTE_MS + 990, corrected=True)
        first = await trial.export(incremental=True, page_size=10)
        assert (first.tasks, first.unsettled, first.exit_code) == (40, 0, 0), first
        at = datetime.fromisoformat(first.watermark or "")
        deliver(trial, range(35, CHATS), int(at.timestamp() * 1000) + 500, corrected=True)
        trial.clock.ahead_ms += 3_000
        second = await trial.export(incremental=True, page_size=10, overlap="0s")
        assert (second.tasks, second.unsettled, second.exit_code) == (10, 0, 0), second
        assert await compacted(trial) == sorted(task.document for task in trial.held())

    on_trial(Undelivered(), tmp_path, play)


@pytest.mark.parametrize(
    "listed", [b"[]", b'{"deliveries":7}', b'{"deliveries":[{"name":"no id"}]}', b'{"tasks":[]}', b"\xff", b""]
)
def test_a_reply_that_is_not_a_list_of_deliveries_is_asked_for_again(tmp_path: Path, listed: bytes) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        plain, answers = routes.ROUTES["GET", "deliveries"], iter((listed, None, listed))

        def odd(genai: Any, call: Call) -> Reply:
            body = next(answers, None)
            return plain.answer(genai, call) if body is None else Reply(body=body)

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(routes.ROUTES, ("GET", "deliveries"), plain._replace(answer=odd))
            assert (await trial.export()).exit_code == 0
        trial.check_exported()

    on_trial(DeliveredHarness(), tmp_path, play)


def test_a_delivery_that_does_not_name_its_project_is_read_in_the_one_that_was_asked(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        plain = routes.ROUTES["GET", "deliveries"]

        def bare(genai: Any, call: Call) -> Reply:
            found = json.loads(plain.answer(genai, call).body)["deliveries"]
            shown = [{**delivery, "project": None, "name": None, "task_count": None} for delivery in found]
            return Reply(body=json.dumps({"deliveries": shown}).encode())

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(routes.ROUTES, ("GET", "deliveries"), plain._replace(answer=bare))
            summary = await trial.export()
        assert summary.exit_code == 0, summary
        trial.check_exported()

    on_trial(DeliveredHarness(), tmp_path, play)


@pytest.mark.parametrize("entry", [None, 7, ["t1"]])
def test_a_list_with_an_entry_that_is_not_a_task_is_asked_for_again(tmp_path: Path, entry: object) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        plain, strange = routes.ROUTES["GET", "tasks"], iter((True, False, True))

        def odd(genai: Any, call: Call) -> Reply:
            reply = plain.answer(genai, call)
            if not next(strange, False):
                return reply
            page = json.loads(reply.body)
            return Reply(body=json.dumps({**page, "tasks": [*page["tasks"], entry]}).encode())

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(routes.ROUTES, ("GET", "tasks"), plain._replace(answer=odd))
            summary = await trial.export(page_size=10)
        assert (summary.exit_code, next(strange, None)) == (0, None), summary
        trial.check_exported()

    on_trial(ChatHarness(), tmp_path, play)


def test_odd_members_of_a_delivery_do_no_harm_and_one_without_a_time_is_not_delivered_yet(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        plain = routes.ROUTES["GET", "deliveries"]

        def odd(genai: Any, call: Call) -> Reply:
            found = json.loads(plain.answer(genai, call).body)["deliveries"]
            for delivery in found:
                delivery |= {"project": {"id": delivery["project"], "name": "suite"}, "name": "\ud800", "more": [None]}
            found.append({"id": "later", "name": "later", "task_count": 5, "delivered_at": None})
            return Reply(body=json.dumps({"deliveries": found}).encode())

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(routes.ROUTES, ("GET", "deliveries"), plain._replace(answer=odd))
            assert (await trial.export()).exit_code == 0
        trial.check_exported()

    on_trial(DeliveredHarness(), tmp_path, play)


# --- lists that lie ----------------------------------------------------------------------------


@pytest.mark.parametrize("harness", [DeliveredHarness(), DatasetHarness()], ids=["deliveries", "dataset"])
@pytest.mark.parametrize(
    ("rule", "ends"),
    [
        (FaultRule(kind="repeat", on="list", back=1, count=5), (0, 0)),
        (FaultRule(kind="gap", on="list", count=3, times=1), (0, 0)),
        (FaultRule(kind="gap", on="list", count=3), (1, 1)),
        (FaultRule(kind="foreign", on="list", times=3), (0, 0)),
        (FaultRule(kind="empty", on="list", pages=(2,), times=4), (0, 0)),
    ],
    ids=["repeats", "a gap that heals", "a gap that stays", "pages of others", "empty pages"],
)
def test_a_list_that_lies_is_found_out(
    tmp_path: Path, harness: PlatformHarness, rule: FaultRule, ends: tuple[int, int]
) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        trial.strike(rule)
        summary = await until_done(lambda: trial.export(page_size=10))
        assert trial.host.journal.faults, "the list lied"
        assert (min(1, summary.unsettled), summary.exit_code) == ends, summary
        lines = listed(trial.folder / "out")
        assert len(set(lines)) == len(lines) == len({json.loads(line)["task_id"] for line in lines})
        if not summary.exit_code:
            trial.check_exported()
        else:
            assert any("the versions of tasks from" in note for note in trial.listener.notes)

    on_trial(harness, tmp_path, play)


def test_a_delivery_that_left_tasks_out_is_read_again_before_an_older_one(tmp_path: Path) -> None:
    """Otherwise the older one would bring their older answers first."""

    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        deliver(trial, range(30), trial.clock() - 2 * MINUTE_MS)
        deliver(trial, range(10, CHATS), trial.clock() - MINUTE_MS, corrected=True)
        # The first look, the deliveries, those of the first part, and then the pages of the newest one.
        trial.strike(FaultRule(kind="gap", on="list", pages=(1, 2), count=8, at=(4, 5)))
        summary = await trial.export(page_size=10)
        assert trial.host.journal.faults["gap"] == 2
        assert (summary.tasks, summary.exit_code, len(once(trial))) == (CHATS, 0, CHATS), summary
        trial.check_exported()

    on_trial(Undelivered(), tmp_path, play)


def test_a_page_of_another_delivery_does_not_count_for_the_one_that_was_asked(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        at_ms = trial.clock() - MINUTE_MS
        deliver(trial, range(5), at_ms - MINUTE_MS)
        for numbers in (range(5, 20), range(20, CHATS)):  # in one millisecond, so their tasks have the same place
            deliver(trial, numbers, at_ms)
        ids = [delivery.id for delivery in listed_deliveries(trial)[1:]]
        others = dict(zip(ids, reversed(ids), strict=True))
        answer, wrong = deliveries.list_delivered, iter((True, False, True))

        def crossed(genai: Any, call: Call) -> Any:
            asked = call.query["delivery_id"]
            if next(wrong, False):
                call.query["delivery_id"] = [others[asked[0]]]
            return answer(genai, call)

        with pytest.MonkeyPatch.context() as patch:
            route = routes.ROUTES["GET", "delivery/tasks"]
            patch.setitem(routes.ROUTES, ("GET", "delivery/tasks"), route._replace(answer=crossed))
            summary = await until_done(trial.export)
        assert next(wrong, None) is None
        assert (summary.tasks, summary.exit_code, len(once(trial))) == (CHATS, 0, CHATS), summary

    on_trial(Undelivered(), tmp_path, play)


@pytest.mark.parametrize("tokens", [itertools.cycle("ab"), map(str, itertools.count())], ids=["repeated", "fresh"])
async def test_reading_one_delivered_task_ends_with_a_list_that_runs_in_a_circle(tokens: Iterator[str]) -> None:
    """For the fresh link of a file: a list without an end says that the task is not there, and the run goes on."""

    class Circling:
        asked = 0

        async def call(self, kind: object, method: str, path: str, **_: object) -> http.Reply:
            self.asked += path == "/delivery/tasks"
            page = {"docs": [{"task_id": f"t{self.asked % 3}", "delivered_at": None}], "next_token": next(tokens)}
            body = {"project": "p1"} if path == "/task" else page
            return http.Reply(200, CIMultiDictProxy(CIMultiDict[str]()), json.dumps(body).encode())

    server = Circling()
    with anyio.fail_after(5):
        result = await DeliveredLists(cast(http.Transport, server)).read("t9")
    assert (result.presence, server.asked) == (Presence.ABSENT, 3 + MAX_IDLE_PAGES)


@pytest.mark.parametrize("harness", [ChatHarness(), DeliveredHarness()], ids=["chats", "deliveries"])
@pytest.mark.parametrize("kind", ["circle", "empty"])
def test_a_list_without_end_stops_the_run_which_resumes(tmp_path: Path, harness: PlatformHarness, kind: str) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        trial.strike(FaultRule(kind=kind, on="list", pages=(2,), fresh=kind == "empty"))
        stopped = await trial.export(page_size=10)
        assert stopped.exit_code == 3, stopped
        assert "the list" in stopped.message
        trial.strike()
        assert (await trial.export(page_size=10)).exit_code == 0
        trial.check_exported()

    on_trial(harness, tmp_path, play)


def test_a_list_of_chats_has_repeats_once(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        trial.strike(FaultRule(kind="repeat", on="list", back=2, count=5))
        assert (await trial.export(page_size=10)).exit_code == 0
        trial.check_exported()

    on_trial(ChatHarness(), tmp_path, play)


# --- the choice --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extras", "options", "words"),
    [
        ({}, {"tags": ("gold",)}, "--tag does not work with API v2: its tasks have no tags"),
        ({}, {"type": "chat"}, "--type does not work with API v2"),
        ({}, {"review_status": ("accepted",)}, "unknown|no review status"),
        ({}, {"updated_after": "7d"}, "--updated-after does not work with chats: .* use the time of completion"),
        (
            {"list": "deliveries"},
            {"batch": "b"},
            "--batch does not work with deliveries: .* list=tasks knows it",
        ),
        ({"list": "deliveries"}, {"completed_before": "1d"}, "--completed-before does not work with deliveries"),
        ({"dataset": "letters"}, {"project": "suite"}, "--project does not work with datasets"),
        ({"dataset": "letters"}, {"created_after": "1d"}, "--created-after does not work with datasets"),
        ({"list": "dataset"}, {}, "add --with dataset=ID_OR_NAME"),
        ({"list": "tasks", "dataset": "letters"}, {}, "--with list=tasks does not; leave one out"),
        (
            {"dataset": "lettres"},
            {},
            "no dataset 'lettres' in this account; correct --with dataset=; did you mean 'letters'",
        ),
        ({"list": "deliveries"}, {"project": "suit"}, "no project 'suit' .* did you mean 'suite'"),
    ],
)
def test_what_a_list_cannot_answer_is_refused_with_the_reason(
    tmp_path: Path, extras: dict[str, str], options: dict[str, Any], words: str
) -> None:
    asked = dict(options)
    project = asked.pop("project", None)

    class Harness(DatasetHarness):
        @property
        def listed_project(self) -> str | None:  # type: ignore[override]
            return project

    harness = Harness()
    harness.extras = extras  # type: ignore[assignment]

    async def play(trial: Trial) -> None:
        trial.fill(3)
        with pytest.raises(ConfigError, match=words):
            await trial.export(**asked)
        assert not (trial.folder / "out" / "manifest.json").exists()

    on_trial(harness, tmp_path, play)


@pytest.mark.parametrize(
    ("harness", "by", "words"),
    [
        (ChatHarness(), "updated", "--by updated does not work with chats: .* use the time of completion or creation"),
        (DeliveredHarness(), "completed", "--by completed does not work with deliveries: .* --by updated"),
        (DatasetHarness(), "created", "--by created does not work with datasets: .* --by updated"),
    ],
)
def test_a_backfill_by_a_time_that_no_line_has_is_refused(
    tmp_path: Path, harness: PlatformHarness, by: By, words: str
) -> None:
    async def play(trial: Trial) -> None:
        export = ExportOptions(out=tmp_path / "out", project=harness.listed_project)
        with pytest.raises(ConfigError, match=words):
            await run_backfill(BackfillOptions(export, "2d", by=by), trial.settings(), trial.listener, signals=False)

    on_trial(harness, tmp_path, play)


def test_a_backfill_of_chats_by_completion_asks_the_server_for_each_window(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        trial.harness.finish(trial.host, 30)
        trial.clock.ahead_ms += 3_000
        before = trial.host.journal.count("list")
        export = ExportOptions(out=tmp_path / "out", project="suite", page_size=10)
        asked = BackfillOptions(export, "4d", by="completed")
        summary = await run_backfill(asked, trial.settings(), trial.listener, signals=False)
        assert (summary.tasks, summary.exit_code) == (30, 0), summary
        done = sorted(task.document for task in trial.held() if b'"status":"completed"' in task.document)
        assert sorted(listed(tmp_path / "out")) == done
        pages, first_look = 3 + 1, 1  # the windows before the last one are empty: a page each
        assert trial.host.journal.count("list") - before <= pages + first_look + summary.windows

    on_trial(ChatHarness(), tmp_path, play)


def test_a_note_names_the_list_and_a_folder_belongs_to_it(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(3)
        await trial.export()
        (note,) = (note for note in trial.listener.notes if note.startswith("reading what was delivered of a project;"))
        assert "(--with list=tasks) and the tasks of a dataset (--with dataset=ID_OR_NAME)" in note
        trial.harness.extras = {}  # type: ignore[misc]
        with pytest.raises(
            ConfigError, match="it has --project suite --with list=deliveries, this command has --project suite;"
        ):
            await trial.export(incremental=True)

    on_trial(DeliveredHarness(), tmp_path, play)


def test_deliveries_of_all_projects_need_no_project(tmp_path: Path) -> None:
    class Everywhere(DeliveredHarness):
        @property
        def listed_project(self) -> str | None:  # type: ignore[override]
            return None

    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        assert isinstance(trial.host, Sandbox)
        genai = trial.host.store.genai("live")
        genai.add_project("others", "SFT")
        assert (await trial.export()).tasks == CHATS
        trial.check_exported()

    on_trial(Everywhere(), tmp_path, play)


@pytest.mark.parametrize(
    "harness", [ChatHarness(), DeliveredHarness(), DatasetHarness()], ids=["chats", "deliveries", "dataset"]
)
def test_the_columns_of_parquet_have_the_values_of_each_list(tmp_path: Path, harness: ChatHarness) -> None:
    """Files of Parquet are durable late, so this also shows that versions are remembered before that."""
    parquet = pytest.importorskip("pyarrow.parquet")

    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        if type(harness) is ChatHarness:
            harness.finish(trial.host, CHATS)
        trial.clock.ahead_ms += 3_000
        for incremental in (False, True):
            out = f"parquet{incremental}"
            assert (await trial.export(out, format="parquet", incremental=incremental, page_size=10)).exit_code == 0
            _check(parquet.read_table(trial.folder / out / "tasks").to_pylist(), trial)

    def _check(rows: list[dict[str, Any]], trial: Trial) -> None:
        assert sorted(row["task"] for row in rows) == sorted(task.document.decode() for task in trial.held())
        for row in rows:
            task = json.loads(row["task"])
            view = read_chat(row["task"].encode())
            assert json.loads(row["response"]) == task.get("response", task.get("threads"))
            assert row["updated_at"] == (view.updated_at and datetime.fromisoformat(view.updated_at))
            assert (row["task_id"], row["delivery"]) == (view.ref, view.delivery)
            assert (row["unique_id"], row["project"]) == (view.key, view.get("project"))
            assert row["dataset"] == task.get("dataset")

    on_trial(harness, tmp_path, play)
