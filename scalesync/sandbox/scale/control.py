"""The control plane under /_sandbox: apart from the imitated API, needs no key, answers JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scalesync.sandbox.core.faults import rules_from
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.errors import NO_SUCH_TASK, ApiError
from scalesync.sandbox.scale.state.model import CANCELED, COMPLETED, PENDING, REVIEWS, STATUSES, Extra, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.tasks.documents import render

if TYPE_CHECKING:
    from scalesync.sandbox.core.engine import Engine


def answer(engine: Engine, call: Call) -> Reply:
    """Dispatch. Raises ApiError 400 and 404."""
    path = call.path[1:]
    if call.method == "POST" and len(path) == 2 and path[0] == "tasks":
        return change_task(engine, path[1], _body(call))
    handler = HANDLERS.get((call.method, "/".join(path)))
    if handler is None:
        raise ApiError(404, f"Cannot {call.method} /_sandbox/{'/'.join(path)}")
    return handler(engine, call)


def _body(call: Call) -> dict[str, Any]:
    try:
        value = loads(call.body) if call.body else {}
    except ValueError as error:
        raise ApiError(400, f"The body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return value


def stats(engine: Engine, _: Call) -> Reply:
    """GET stats: tasks by world and status, batches, projects, requests, faults, in flight."""
    worlds = {}
    for world in engine.store:
        lifecycle.sweep(world)
        worlds[world.name] = {
            "tasks": {status: world.counts[status] for status in STATUSES},
            "total": world.count(),
            "batches": len(world.batches),
            "projects": len(world.projects),
        }
    journal = engine.journal
    requests = [{"kind": k, "status": s, "count": n} for (k, s), n in sorted(journal.counts.items())]
    return ok(
        {
            "worlds": worlds,
            "requests": requests,
            "faults": dict(journal.faults),
            "in_flight": journal.in_flight,
            "peak_in_flight": journal.peak_in_flight,
        }
    )


def annotate(engine: Engine, call: Call) -> Reply:
    """POST annotate `{"count": N | "all", "world": "live"}`: complete pending tasks now."""
    body = _body(call)
    count = body.get("count", "all")
    if count != "all" and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise ApiError(400, 'count must be a number or "all"')
    world = engine.store.world("test" if body.get("world") == "test" else "live")
    return ok({"completed": lifecycle.annotate(world, None if count == "all" else count)})


def get_faults(engine: Engine, _: Call) -> Reply:
    """GET faults: the rules in force."""
    return ok({"rule": [asdict(rule) for rule in engine.faults.rules]})


def post_faults(engine: Engine, call: Call) -> Reply:
    """POST faults: a list of rules, or `{"rule": [...]}`, replaces the schedule."""
    try:
        value = loads(call.body) if call.body else []
        engine.faults.replace(rules_from(value.get("rule", []) if isinstance(value, dict) else value))
    except ValueError as error:
        raise ApiError(400, str(error)) from error
    return get_faults(engine, call)


def post_keys(engine: Engine, call: Call) -> Reply:
    """POST keys `{"refuse": {key: status}, "restore": [key, ...]}`."""
    body = _body(call)
    refuse, restore = body.get("refuse", {}), body.get("restore", [])
    if not isinstance(refuse, dict) or not all(isinstance(status, int) for status in refuse.values()):
        raise ApiError(400, "refuse must map keys to statuses")
    if not isinstance(restore, list):
        raise ApiError(400, "restore must be a list of keys")
    engine.access.refused.update(refuse)
    for key in restore:
        engine.access.restore(str(key))
    return ok({"refused": len(engine.access.refused)})


def get_journal(engine: Engine, call: Call) -> Reply:
    """GET journal: the remembered requests, oldest first; `?kind=` picks one class."""
    kind = call.first("kind")
    seen = engine.journal.of(kind) if kind is not None else list(engine.journal)
    return ok([entry._asdict() for entry in seen])


HANDLERS: dict[tuple[str, str], Callable[[Engine, Call], Reply]] = {
    ("GET", "stats"): stats,
    ("POST", "annotate"): annotate,
    ("GET", "faults"): get_faults,
    ("POST", "faults"): post_faults,
    ("POST", "keys"): post_keys,
    ("GET", "journal"): get_journal,
}


def change_task(engine: Engine, task_id: str, body: dict[str, Any]) -> Reply:
    """POST tasks/{id} `{"action", ...}`: do to a task what no client can; replies with the task.

    action: start, complete, recall, correct (`response` optional), error (`response` optional),
    review (`review`), touch, remove.
    """
    found = next(((w, task) for w in engine.store if (task := w.find(task_id)) is not None), None)
    if found is None:
        raise ApiError(404, NO_SUCH_TASK)
    world, task = found
    action = ACTIONS.get(str(body.get("action")))
    if action is None:
        raise ApiError(400, f"action must be one of {', '.join(ACTIONS)}")
    action(world, task, body)
    removed = world.find(task_id) is None
    return ok({"removed": task_id}) if removed else Reply(body=render(world, task))


def _want(task: Task, *statuses: str) -> None:
    if task.status not in statuses:
        raise ApiError(400, f"The task is {task.status}, not {' or '.join(statuses)}.")


def _response(body: dict[str, Any]) -> bytes | None:
    return dumps(body["response"]) if body.get("response") is not None else None


def _start(world: World, task: Task, _: dict[str, Any]) -> None:
    _want(task, PENDING)
    task.extra = task.extra or Extra()
    task.extra.started = True
    world.changed(task, world.now())


def _complete(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, PENDING)
    response = _response(body)
    if response is not None:
        task.extra = task.extra or Extra()
        task.extra.response = response
    lifecycle.complete(world, task, world.now())


def _recall(world: World, task: Task, _: dict[str, Any]) -> None:
    _want(task, COMPLETED)
    lifecycle.recall(world, task)


def _correct(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, COMPLETED)
    lifecycle.correct(world, task, _response(body))


def _error(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, PENDING, COMPLETED, CANCELED)
    lifecycle.fail(world, task, world.now(), _response(body))


def _review(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, COMPLETED)
    review = body.get("review")
    if review not in REVIEWS:
        raise ApiError(400, f"review must be one of {', '.join(REVIEWS)}")
    task.extra = task.extra or Extra()
    task.extra.review = str(review)
    world.changed(task, world.now())


def _touch(world: World, task: Task, _: dict[str, Any]) -> None:
    world.changed(task, world.now())


def _remove(world: World, task: Task, _: dict[str, Any]) -> None:
    world.remove(task)


ACTIONS: dict[str, Callable[[World, Task, dict[str, Any]], None]] = {
    "start": _start,
    "complete": _complete,
    "recall": _recall,
    "correct": _correct,
    "error": _error,
    "review": _review,
    "touch": _touch,
    "remove": _remove,
}
