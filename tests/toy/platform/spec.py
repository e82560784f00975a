"""What is known of Toy beforehand. No network."""

from __future__ import annotations

import json

from scalesync.platforms.plugin import (
    JsonObject,
    KeyRule,
    KeyStrength,
    Offer,
    PlatformSpec,
    Variables,
    Vocabulary,
)
from tests.toy.platform import wire
from tests.toy.platform.changes import CHANGES

LANDING_S = 2.5  # Toy gives a request up after that much work, in seconds


class ToyShaper:
    """An item: what the record says is its data, its key is its label. The project stands in the path."""

    def shape(self, fields: JsonObject, *, key: str, project: str | None, batch: str | None) -> JsonObject:
        """The item of a record."""
        for name in ("unique_id", "project", "batch"):
            fields.pop(name, None)
        return {"data": fields, "label": key}

    def rekey(self, body: bytes, before: str, after: str) -> bytes:
        """The same item under another label."""
        return json.dumps({**json.loads(body), "label": after}).encode()


SPEC = PlatformSpec(
    name="toy",
    title="Toy",
    hosts=("api.toy.test",),
    default_url="https://api.toy.test/v2",
    root_like="https://api.toy.test/v2",
    variables=Variables("TOY_API_KEY", "TOY_API_URL"),
    vocabulary=Vocabulary(
        key="label",
        ref="id",
        batch=None,
        type=None,
        statuses=("todo", "doing", "done", "dropped"),
        new="todo",
        done="done",
        dead=frozenset({"dropped"}),
        reclaimable=("dropped",),
        type_required=False,
    ),
    key=KeyRule(strength=KeyStrength.LABEL, landing_s=LANDING_S, namespaced=True, removes=True),
    shaper=ToyShaper(),
    view=wire.view,
    page_most=50,
    adapter="tests.toy.platform.adapter:ToyPlatform",
    fields=frozenset({"id", "project", "data", "label", "state", "made", "touched", "answer", "notes"}),
    changes=CHANGES,
    offers={
        "import": Offer(True, "looked up first: labels may repeat, so what is in doubt waits for the landing window"),
        "export": Offer(True, "in pages by id of one project, or as a file; increments by the time of change"),
        "verify": Offer(True, "by label; items that share one are found"),
        "ledger rebuild": Offer(True, "by label"),
    },
)
