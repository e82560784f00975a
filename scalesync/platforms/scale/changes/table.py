"""The changes that Scale offers, one row each: how they are typed, planned, and made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial

from scalesync.model.records import JsonObject
from scalesync.platforms.scale.changes import plans
from scalesync.ports.changes import ChangeArgument, ChangeSpec, Takes
from scalesync.ports.operation import Repeat

Check = Callable[[JsonObject], None]
TAGS = {"tags": ChangeArgument(words="the tags", takes=Takes.TEXTS, needed=True)}
COMMENTS = {"comments": ChangeArgument(words="what the annotators should know")}
ACCEPTED = ChangeArgument(words="accept the task, or reject it", takes=Takes.FLAG, needed=True)
CLEAR = ChangeArgument(words="let another task have its unique_id", takes=Takes.FLAG)
NEW_UNIQUE_ID = ChangeArgument(words="a name that no other task of the account has", needed=True)
PRIORITY = ChangeArgument(words="10 (low), 20 (normal) or 30 (high)", takes=Takes.NUMBER, needed=True)
BEFORE = "with what `before` shows in the file of a `--dry-run`"


def _sendable(arguments: JsonObject) -> None:
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("an argument holds half of a surrogate pair, which cannot be sent") from None
    except ValueError:
        raise ValueError("an argument holds NaN or an infinity, which JSON cannot hold") from None


def _few_tags(arguments: JsonObject) -> None:
    if (number := len(set(arguments["tags"]))) > plans.TAGS_MOST:
        raise ValueError(f"a task has at most {plans.TAGS_MOST} tags, and these are {number}")


def _metadata(arguments: JsonObject) -> None:
    if (refused := plans.too_large(arguments["metadata"])) is not None:
        raise ValueError(refused)


def _unique_id(arguments: JsonObject) -> None:
    if not arguments["new_unique_id"]:
        raise ValueError("new_unique_id must not be empty; `unique-id clear` takes a unique_id off a task")


def _priority(arguments: JsonObject) -> None:
    value = arguments["priority"]
    if isinstance(value, bool) or value not in plans.PRIORITIES:
        raise ValueError(f"priority must be 10, 20 or 30, not {value}")


def _both(first: Check, second: Check, arguments: JsonObject) -> None:
    first(arguments)
    second(arguments)


def _checked(check: Check | None = None) -> Check:
    return _sendable if check is None else partial(_both, _sendable, check)


ROWS: Iterable[ChangeSpec] = (
    # The second cancel is answered with 200 as well (Node SDK).
    ChangeSpec(
        name="cancel",
        words="cancel tasks that nobody has begun",
        plan=plans.cancel,
        repeat=Repeat.IDEMPOTENT,
        arguments={"clear_unique_id": CLEAR},
    ),
    ChangeSpec(
        name="tags set",
        words="replace the tags of tasks",
        plan=plans.set_tags,
        repeat=Repeat.IDEMPOTENT,
        arguments=TAGS,
        undone_by=f"`apply tags set` {BEFORE}",
        check=_checked(_few_tags),
    ),
    ChangeSpec(
        name="tags add",
        words="add tags to tasks",
        plan=plans.add_tags,
        repeat=Repeat.IDEMPOTENT,
        arguments=TAGS,
        undone_by="`apply tags remove`",
        check=_checked(_few_tags),
    ),
    ChangeSpec(
        name="tags remove",
        words="remove tags from tasks",
        plan=plans.remove_tags,
        repeat=Repeat.IDEMPOTENT,
        arguments=TAGS,
        undone_by="`apply tags add`",
        check=_checked(),
    ),
    ChangeSpec(
        name="metadata set",
        words="replace the metadata of tasks",
        plan=plans.set_metadata,
        repeat=Repeat.IDEMPOTENT,
        arguments={"metadata": ChangeArgument(words="the whole new metadata", takes=Takes.OBJECT, needed=True)},
        undone_by=f"`apply metadata set` {BEFORE}",
        check=_checked(_metadata),
    ),
    # Version 1 can only replace metadata: what somebody else changes between the read and the write is lost.
    ChangeSpec(
        name="metadata merge",
        words="lay an object over the metadata of tasks, which are read first",
        plan=plans.merge_metadata,
        repeat=Repeat.IDEMPOTENT,
        arguments={"metadata": ChangeArgument(words="the members to set", takes=Takes.OBJECT, needed=True)},
        undone_by=f"`apply metadata set` {BEFORE}",
        reads=True,
        check=_checked(_metadata),
    ),
    # Each audit calls the callback and is kept beside the earlier ones, so the task is read before a second one.
    ChangeSpec(
        name="audit",
        words="accept or reject completed tasks",
        plan=plans.audit,
        repeat=Repeat.COMPARE_FIRST,
        arguments={"accepted": ACCEPTED, **COMMENTS},
        check=_checked(),
    ),
    ChangeSpec(
        name="audit accept",
        words="accept completed tasks",
        plan=plans.judged(accepted=True),
        repeat=Repeat.COMPARE_FIRST,
        arguments=COMMENTS,
        check=_checked(),
    ),
    ChangeSpec(
        name="audit reject",
        words="reject completed tasks",
        plan=plans.judged(accepted=False),
        repeat=Repeat.COMPARE_FIRST,
        arguments=COMMENTS,
        check=_checked(),
    ),
    # `unique_id` is the column that may name the task, so the argument has another name.
    ChangeSpec(
        name="unique-id set",
        words="give tasks another unique_id",
        plan=plans.set_unique_id,
        repeat=Repeat.IDEMPOTENT,
        arguments={"new_unique_id": NEW_UNIQUE_ID},
        undone_by=f"`apply unique-id set` {BEFORE}, unless another task has it meanwhile",
        check=_checked(_unique_id),
    ),
    # Another task can have the unique_id at once, so nobody can promise that it comes back.
    ChangeSpec(
        name="unique-id clear",
        words="take the unique_id off tasks",
        plan=plans.clear_unique_id,
        repeat=Repeat.IDEMPOTENT,
    ),
    ChangeSpec(
        name="priority",
        words="set the priority of the tasks of batches that nobody has begun",
        plan=plans.priority,
        repeat=Repeat.IDEMPOTENT,
        subject="batch",
        arguments={"priority": PRIORITY},
        undone_by="`apply priority` with the former one, which Scale is not known to show",
        check=_checked(_priority),
    ),
    # Scale calls a callback up to 20 times and promises no order, so its receiver has to take a second call anyway.
    ChangeSpec(
        name="send-callback",
        words="call the callbacks of completed tasks, and of those in error, again",
        plan=plans.send_callback,
        repeat=Repeat.IDEMPOTENT,
    ),
)
CHANGES = {row.name: row for row in ROWS}
