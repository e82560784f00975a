"""Tasks of drawn blueprints, against an oracle that knows nothing of the sandbox: Python's own TopologicalSorter."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from scalesync.platforms.scale.multistage.check import findings
from scalesync.sandbox.scale.tasks.lifecycle import annotate
from tests.draws import draws

from .support import START_MS, Api
from .test_multistage import BLUEPRINTS, SCENE, control, states

VALUES = ("x", "y")
ATTRIBUTES = ("a", "b")
TAXONOMY = {"labels": ["car"], "attributes": {name: {"choices": list(VALUES)} for name in ATTRIBUTES}}
TAKES_MS = 10_000
Blueprint = dict[str, Any]


@st.composite
def blueprints(draw: st.DrawFn, delivery: str | None = None) -> Blueprint:
    """Up to six stages in any order of listing, with conditions on stages before."""
    names = "pqrstu"[: draw(st.integers(1, 6))]
    before: dict[str, set[str]] = {}
    stages = []
    for place, name in enumerate(names):
        after = draw(st.sets(st.sampled_from(names[:place]), max_size=3)) if place else set()
        before[name] = after.union(*(before[other] for other in after))
        when = []
        for looked_at in sorted(before[name]):
            if draw(st.integers(0, 2)) == 0:
                word, value = draw(st.sampled_from(("has", "has_not"))), draw(st.sampled_from(VALUES))
                when.append({"stage": looked_at, "attribute": draw(st.sampled_from(ATTRIBUTES)), word: value})
        stages.append({"name": name, "after": sorted(after), "taxonomy": TAXONOMY, "when": when})
    chosen = delivery or draw(st.sampled_from(("task", "stage")))
    return {"name": "b", "delivery": chosen, "stages": draw(st.permutations(stages))}


@st.composite
def broken(draw: st.DrawFn) -> Blueprint:
    """Blueprints that may be wrong: circles, ghosts, conditions on whatever there is."""
    names = st.sampled_from("pqrs")
    condition = st.fixed_dictionaries(
        {"stage": names, "attribute": st.sampled_from("abc")}, optional={"has": st.sampled_from(("x", "z", True))}
    ) | st.fixed_dictionaries({"stage": names, "attribute": st.sampled_from("ab"), "has_not": st.sampled_from("xy")})
    taxonomy = st.sampled_from((TAXONOMY, TAXONOMY, {"labels": ["a"]}, {"other": 1}, {}, {"labels": []}, None))
    stage = st.fixed_dictionaries(
        {"name": st.sampled_from(("p", "q", "r", "s", " ")), "taxonomy": taxonomy},
        optional={"after": st.lists(names, max_size=2), "when": st.lists(condition, max_size=2), "afters": st.none()},
    )
    listed = draw(st.lists(stage, min_size=1, max_size=4, unique_by=lambda item: item["name"]))
    return {"name": "b", "stages": listed}


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def sandbox(blueprint: Blueprint, **options: Any) -> Api:
    """A sandbox with this active blueprint; a stage that could never run ends the example."""
    api = Api(**options)
    api.world.add_project("p", "multistage")
    status, reply = api.call("POST", BLUEPRINTS, blueprint)
    if "can never run" in str(reply.get("error")):
        api.store.close()
        reject()
    assert status == 200, reply
    return api


def sorter(blueprint: Blueprint) -> TopologicalSorter[str]:
    found = TopologicalSorter({stage["name"]: stage["after"] for stage in blueprint["stages"]})
    found.prepare()
    return found


def runs(stage: dict[str, Any], answers: dict[str, Any]) -> bool:
    """Whether the conditions hold on what was delivered."""
    for condition in stage.get("when", ()):
        annotations = answers.get(condition["stage"], {"annotations": []})["annotations"]
        values = [annotation["attributes"][condition["attribute"]] for annotation in annotations]
        if ("has" in condition and condition["has"] not in values) or condition.get("has_not") in values:
            return False
    return True


def answers_of(api: Api, task_id: str) -> dict[str, Any]:
    return {item["name"]: item["response"] for item in control(api, f"tasks/{task_id}/work")[1]}


def timeline(blueprint: Blueprint, answers: dict[str, Any], takes: dict[str, int]) -> dict[str, tuple[int, int] | None]:
    """When each stage begins and ends if nothing keeps it waiting but what it comes after; None if it is skipped."""
    stages = {stage["name"]: stage for stage in blueprint["stages"]}
    found: dict[str, tuple[int, int] | None] = {}
    over: dict[str, int] = {}
    graph = sorter(blueprint)
    while graph.is_active():
        for name in graph.get_ready():
            start = max((over[other] for other in stages[name]["after"]), default=START_MS)
            run = runs(stages[name], {other: answers[other] for other in found if found[other]})
            found[name] = (start, start + takes.get(name, TAKES_MS)) if run else None
            over[name] = start + takes.get(name, TAKES_MS) if run else start
            graph.done(name)
    return found


def seen(task: dict[str, Any]) -> dict[str, tuple[int, int] | None]:
    return {
        stage["name"]: None if stage["status"] == "skipped" else (ms(stage["started_at"]), ms(stage["completed_at"]))
        for stage in task["stages"]
    }


@settings(max_examples=draws(200), deadline=None)
@given(blueprints(), st.integers(0, 2**16), st.sampled_from((0.0, 7.0)))
def test_stages_run_in_their_order_at_their_time_and_once(blueprint: Blueprint, seed: int, spread: float) -> None:
    api = sandbox(blueprint, seed=seed, annotate_after_s=TAKES_MS / 1000, annotate_spread_s=spread)
    task_id = api.create("multistage", **SCENE, callback_url="http://127.0.0.1:9/x")["task_id"]
    by_stage = blueprint["delivery"] == "stage"
    completed: Counter[str] = Counter()
    finished, updated = 0, START_MS
    last = api.get(f"/task/{task_id}")
    for _ in range(2 * len(blueprint["stages"]) * (TAKES_MS // 1000 + 7)):
        if finished:
            break
        assert "response" not in last
        api.clock.forward(0.5)
        task = api.get(f"/task/{task_id}")
        assert api.get("/tasks")["docs"] == [task]
        new = [name for name, status in states(task).items() if status == "completed" != states(last)[name]]
        completed.update(new)
        assert (ms(task["updated_at"]) > updated) == bool(new)
        updated, last = ms(task["updated_at"]), task
        finished = task["status"] == "completed"
    assert finished, states(last)
    takes = {name: span[1] - span[0] for name, span in seen(last).items() if span}
    assert all(TAKES_MS <= spent <= TAKES_MS + spread * 1000 for spent in takes.values())
    answers = answers_of(api, task_id)
    wanted = timeline(blueprint, answers, takes)
    assert seen(last) == wanted
    assert completed == Counter(name for name, span in wanted.items() if span) == Counter(list(answers))
    end = max((span[1] for span in wanted.values() if span), default=START_MS)
    assert ms(last["completed_at"]) == ms(last["updated_at"]) == end
    assert last.get("response") == (None if by_stage else {"stages": answers})
    for stage in last["stages"]:
        if by_stage and stage["status"] == "completed":
            assert (stage["response"], stage["delivered_at"]) == (answers[stage["name"]], stage["completed_at"])
        else:
            assert not {"response", "delivered_at"} & set(stage)
    queued = Counter((delivery.kind, delivery.part) for delivery in api.world.outbox.waiting.values())
    assert queued == Counter([("task", ""), *(("stage", name) for name in completed if by_stage)])


@settings(max_examples=draws(100), deadline=None)
@given(blueprints(), st.integers(0, 2**16))
def test_answers_hold_the_attributes_and_depend_on_the_seed_alone(blueprint: Blueprint, seed: int) -> None:
    found = []
    for _ in range(2):
        api = sandbox(blueprint, seed=seed)
        ids = [api.create("multistage", **SCENE)["task_id"] for _ in range(3)]
        annotate(api.world)
        found.append([(api.get(f"/task/{task_id}"), answers_of(api, task_id)) for task_id in ids])
    assert found[0] == found[1]
    for task, answers in found[0]:
        at_once = timeline(blueprint, answers, dict.fromkeys(states(task), 0))
        assert {name: span is not None for name, span in at_once.items()} == {
            name: status == "completed" for name, status in states(task).items()
        }
        for answer in answers.values():
            for annotation in answer["annotations"]:
                assert annotation["label"] == "car"
                assert set(annotation["attributes"]) == set(ATTRIBUTES)
                assert set(annotation["attributes"].values()) <= set(VALUES)


def test_answers_differ_from_task_to_task_so_that_conditions_decide() -> None:
    stages = [
        {"name": "p", "taxonomy": TAXONOMY},
        {"name": "q", "after": ["p"], "taxonomy": TAXONOMY, "when": [{"stage": "p", "attribute": "a", "has": "x"}]},
    ]
    api = sandbox({"name": "b", "stages": stages})
    for _ in range(50):
        api.create("multistage", **SCENE)
    annotate(api.world)
    ends = Counter(states(task)["q"] for task in api.get("/tasks")["docs"])
    assert 5 < ends["skipped"] < 45
    assert ends["completed"] == 50 - ends["skipped"]


ANSWER = st.lists(st.fixed_dictionaries({name: st.sampled_from(VALUES) for name in ATTRIBUTES}), min_size=0, max_size=3)


@settings(max_examples=draws(150), deadline=None)
@given(blueprints(), st.data())
def test_by_hand_any_stage_that_is_under_way_may_be_the_next(blueprint: Blueprint, data: st.DataObject) -> None:
    """Whoever completes stages one by one, with any answer, meets those that the sorter gives, also after restarts."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(sandbox(blueprint, data=Path(folder) / "state"))
        try:
            complete_by_hand(kept, blueprint, data)
        finally:
            kept.api.store.close()


class Kept:
    """A sandbox with a data file, which may stop and start again."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def restart(self) -> None:
        self.api.store.close()
        self.api = Api(data=self.api.config.data, clock=self.api.clock)


def complete_by_hand(kept: Kept, blueprint: Blueprint, data: st.DataObject) -> None:
    task_id = kept.api.create("multistage", **SCENE)["task_id"]
    stages = {stage["name"]: stage for stage in blueprint["stages"]}
    graph, answers, skipped, ready = sorter(blueprint), dict[str, Any](), set[str](), set[str]()
    while True:
        while names := graph.get_ready():
            for name in names:
                if runs(stages[name], answers):
                    ready.add(name)
                else:
                    skipped.add(name)
                    graph.done(name)
        task = kept.api.get(f"/task/{task_id}")
        expected = dict.fromkeys(stages, "waiting") | dict.fromkeys(ready, "pending")
        expected |= dict.fromkeys(answers, "completed") | dict.fromkeys(skipped, "skipped")
        assert states(task) == expected
        assert task["status"] == ("pending" if graph.is_active() else "completed")
        assert answers_of(kept.api, task_id) == answers
        if not graph.is_active():
            return
        if data.draw(st.integers(0, 5)) == 0:
            kept.restart()
            assert kept.api.get(f"/task/{task_id}") == task
        name = data.draw(st.sampled_from(sorted(ready)))
        answers[name] = {"annotations": [{"attributes": attributes} for attributes in data.draw(ANSWER)]}
        kept.api.clock.forward(1)
        body = {"action": "complete", "stage": name, "response": answers[name]}
        assert control(kept.api, f"tasks/{task_id}", **body)[0] == 200
        assert control(kept.api, f"tasks/{task_id}", **body)[0] == 400, "a stage is completed once"
        ready.remove(name)
        graph.done(name)


@settings(max_examples=draws(100), deadline=None)
@given(blueprints("stage"), st.data())
def test_corrections_raise_the_delivery_of_one_stage_and_reopen_nothing(
    blueprint: Blueprint, data: st.DataObject
) -> None:
    api = sandbox(blueprint)
    task_id = api.create("multistage", **SCENE)["task_id"]
    annotate(api.world)
    task = api.get(f"/task/{task_id}")
    done = [name for name, status in states(task).items() if status == "completed"]
    for name in data.draw(st.lists(st.sampled_from(done), min_size=1, max_size=5)):
        api.clock.forward(data.draw(st.sampled_from((0, 3))))
        after = control(api, f"tasks/{task_id}", action="correct", stage=name)[1]
        for old, new in zip(task["stages"], after["stages"], strict=True):
            assert (old == new) == (old["name"] != name)
            if old["name"] == name:
                assert new["delivered_at"] > old["delivered_at"]
                assert new["response"] != old["response"]
                assert new["completed_at"] == old["completed_at"]
                assert after["updated_at"] == new["delivered_at"]
        assert (after["status"], after["completed_at"]) == ("completed", task["completed_at"])
        task = after


def test_a_correction_moves_the_task_s_time_also_within_the_millisecond_of_another_stage_s() -> None:
    api = sandbox({"name": "b", "delivery": "stage", "stages": [{"name": n, "taxonomy": TAXONOMY} for n in "pq"]})
    task_id = api.create("multistage", **SCENE)["task_id"]
    annotate(api.world)
    for name in "qqp":
        after = control(api, f"tasks/{task_id}", action="correct", stage=name)[1]
        delivered = {stage["name"]: stage["delivered_at"] for stage in after["stages"]}
        assert after["updated_at"] == delivered[name] == max(delivered.values())


@settings(max_examples=draws(300), deadline=None)
@given(broken() | blueprints())
def test_the_server_refuses_what_the_client_refuses(blueprint: Blueprint) -> None:
    """The two checks were written apart; that they agree is a witness for both."""
    api = Api()
    api.world.add_project("p", "multistage")
    status, reply = api.call("POST", BLUEPRINTS, json.dumps(blueprint).encode())
    assert (status == 200) == (not findings(blueprint)), (reply, findings(blueprint))
