"""What `scalesync apply` changes at Toy: notes, which an item shows, and reminders, which it does not."""

from __future__ import annotations

import json
from urllib.parse import quote

from scalesync.platforms.plugin import (
    ChangeArgument,
    ChangeSpec,
    JsonObject,
    LookupResult,
    Outcome,
    OutcomeKind,
    Planned,
    RemoteError,
    Repeat,
    RequestClass,
    Transport,
    outcome_of,
    refusal,
)
from tests.toy.platform import wire
from tests.toy.platform.lists import ToyLists

DROPPED = "the item is dropped"


def note(item: JsonObject, arguments: JsonObject) -> Planned:
    """The note stands behind the others; an item that has it needs no second one."""
    if item.get("state") == "dropped":
        return Planned(refused=DROPPED)
    notes = item.get("notes", [])
    new = [] if arguments["note"] in notes else [arguments["note"]]
    return Planned({"notes": notes}, {"notes": [*notes, *new]})


def remind(item: JsonObject, arguments: JsonObject) -> Planned:
    """An item does not show who was reminded of it."""
    return Planned(refused=DROPPED) if item.get("state") == "dropped" else Planned()


CHANGES = {
    spec.name: spec
    for spec in (
        ChangeSpec(
            name="note add",
            words="add a note to items that do not have it",
            plan=note,
            repeat=Repeat.COMPARE_FIRST,
            arguments={"note": ChangeArgument(words="the note", needed=True)},
        ),
        ChangeSpec(name="remind", words="remind people of items", plan=remind, repeat=Repeat.ONCE),
    )
}
PATHS = {"note add": "notes", "remind": "reminders"}


class ToyChanger:
    """Changes items."""

    def __init__(self, transport: Transport, lists: ToyLists, landing_s: float) -> None:
        self.landing_s = landing_s
        self._transport = transport
        self._lists = lists

    async def change(self, spec: ChangeSpec, ref: str, arguments: JsonObject, document: JsonObject | None) -> Outcome:
        """POST /items/{id}/notes or /items/{id}/reminders."""
        path = f"/items/{quote(ref, safe='')}/{PATHS[spec.name]}"
        try:
            reply = await self._transport.call(RequestClass.MUTATE, "POST", path, body=json.dumps(arguments).encode())
        except RemoteError as error:
            return outcome_of(error)
        if reply.status == 200:
            return Outcome(OutcomeKind.CREATED, ref, 200)
        return refusal(reply, wire.problem)

    async def read(self, spec: ChangeSpec, ref: str) -> LookupResult:
        """GET /items/{id}."""
        return await self._lists.read(ref)
