"""The limits of a target that runs have learned; the next run begins with them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.times import now_iso

_CLASSES = {cls.value: cls for cls in RequestClass}


def load(db: sqlite3.Connection, target: int) -> dict[RequestClass, JsonObject]:
    """The learned limits by class of requests, without classes that this release does not know."""
    found = db.execute("SELECT class, learned FROM paces WHERE target=?", (target,)).fetchall()
    return {_CLASSES[name]: json.loads(learned) for name, learned in found if name in _CLASSES}


def save(db: sqlite3.Connection, target: int, learned: Mapping[RequestClass, Mapping[str, object]]) -> None:
    """Save the limits of each class over the earlier ones."""
    db.executemany(
        "INSERT OR REPLACE INTO paces (target, class, learned, at) VALUES (?,?,?,?)",
        [(target, cls.value, json.dumps(dict(value)), now_iso()) for cls, value in learned.items()],
    )
