"""The control plane under /_sandbox: separate from the emulated API, without a key, in JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import rules_from
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import dumps, loads

ROOT = "/_sandbox/"


def answer(engine: Engine, call: Call) -> Reply:
    """Answer a control request: first the routes that all platforms share, then the platform's own."""
    path = "/".join(call.path[1:])
    handler = HANDLERS.get((call.method, path))
    try:
        reply = handler(engine, call) if handler is not None else engine.app.control(call)
    except ApiError as error:
        return _refusal(error.status, error.text)
    return reply or _refusal(404, f"Cannot {call.method} {ROOT}{path}")


def _refusal(status: int, text: str) -> Reply:
    return Reply(status, dumps({"status_code": status, "error": text}))


def body_of(call: Call) -> dict[str, Any]:
    """The JSON object of a control request; `{}` for an empty body. Raises ApiError 400."""
    try:
        value = loads(call.body) if call.body else {}
    except ValueError as error:
        raise ApiError(400, f"The body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return value


def stats(engine: Engine, _: Call) -> Reply:
    """GET stats: the platform's own numbers, then requests, faults and requests in flight."""
    journal = engine.journal
    requests = [{"kind": k, "status": s, "count": n} for (k, s), n in sorted(journal.counts.items())]
    return ok(
        {
            **engine.app.stats(),
            "requests": requests,
            "faults": dict(journal.faults),
            "in_flight": journal.in_flight,
            "peak_in_flight": journal.peak_in_flight,
        }
    )


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
    body = body_of(call)
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
    """GET journal: the requests kept, oldest first; `?kind=` selects one class."""
    kind = call.first("kind")
    seen = engine.journal.of(kind) if kind is not None else list(engine.journal)
    return ok([entry._asdict() for entry in seen])


HANDLERS: dict[tuple[str, str], Callable[[Engine, Call], Reply]] = {
    ("GET", "stats"): stats,
    ("GET", "faults"): get_faults,
    ("POST", "faults"): post_faults,
    ("POST", "keys"): post_keys,
    ("GET", "journal"): get_journal,
}
