"""The moves of a change: how a row of a source changes it, and how an outcome does. Pure, the same for every ledger.

                 collect              intend                 record
    (no change) ---------> pending ---------> sending ----------------> applied | unchanged | failed | unclear
                            ^   |                |
                            |   |                `-- not sent after all, or certainly not done --> pending
                            |   `-- record: its document shows enough, no request left ---------> unchanged | failed
    failed --- retry ---------------------------------------------------------------------------> pending
    failed, applied, unchanged --- its row asks for something else -----------------------------> pending

`sending` is the durable intent: a request may have left from now on. An interrupted run leaves changes in this state,
and the next run asks the platform about each of them as the operation declares it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from scalesync.model.changes import Change, ChangeState
from scalesync.model.records import JsonObject
from scalesync.ports.changes import is_same

OPEN = frozenset({ChangeState.PENDING, ChangeState.SENDING})  # an outcome may come
# When a collection ends, changes in these states become what their rows ask for: it is known what came of them. Not
# before: of several rows for a task, the last one counts, and an earlier one must not bring back what is done.
REPLACED_AT_END = frozenset({ChangeState.FAILED, ChangeState.APPLIED, ChangeState.UNCHANGED})


class Take(Enum):
    """What a row of a source does to the change that its task has already.

    REPLACES: the change becomes the row's, and is pending.
    REPEATS: both ask for the same, and the change stays.
    DIFFERS: the change stays, and the ledger keeps what the row asks for until the collection ends.
    """

    REPLACES = "replaces"
    REPEATS = "repeats"
    DIFFERS = "differs"


def collect(state: ChangeState, arguments: JsonObject, expected: JsonObject | None, row: Change) -> Take:
    """Decide for a task with a change in this state and with these arguments."""
    if state is ChangeState.PENDING:
        return Take.REPLACES
    # A failed change may have failed because the task was no longer as its plan expected.
    planned = state is ChangeState.FAILED and not is_same({"as": expected}, {"as": row.expected})
    return Take.DIFFERS if planned or not is_same(arguments, row.arguments) else Take.REPEATS


def counted(states: Mapping[str, int]) -> dict[str, int]:
    """Changes as people see them: what is under way is pending."""
    under_way = states[ChangeState.SENDING]
    shown = {name: number for name, number in states.items() if name != ChangeState.SENDING}
    return shown | {ChangeState.PENDING.value: states[ChangeState.PENDING] + under_way}
