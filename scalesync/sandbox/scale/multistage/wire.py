"""What nobody documents about multi-stage tasks: every path, member and word below is a GUESS.

Scale's documentation says what blueprints, stages and deliveries do (Multi-Stage Overview, Create Multi-Stage Task),
but not what they are called on the wire. The rest of the sandbox spells none of these names, so that the true ones
can be put in here, and here alone, once they are known. The program has such a module too and shares nothing with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from scalesync.sandbox.core.wire.rawjson import join, text
from scalesync.sandbox.core.wire.times import iso

# Paths below /v1. "*" is what the caller fills in: the name of the project, then that of the blueprint.
BLUEPRINTS = "projects/*/blueprints"
BLUEPRINT_PATH = "projects/*/blueprints/*"
ACTIVATE = "projects/*/blueprints/*/activate"

# Members of a blueprint.
NAME = "name"
DELIVERY = "delivery"
STAGES = "stages"
OWN = ("active", "created_at", "version")  # the server's; a create may carry them, and they are left out
# Members of one of its stages, in addition to the name.
AFTER = "after"
TAXONOMY = "taxonomy"
PARAMETERS = "parameters"
WHEN = "when"
# Members of a taxonomy that the sandbox reads, in addition to whatever else it holds.
LABELS = "labels"
ATTRIBUTES = "attributes"
CHOICES = "choices"
CHOICE = "choice"  # of a label or choice that is an object
# Members of a condition.
STAGE = "stage"
ATTRIBUTE = "attribute"
HAS = "has"
HAS_NOT = "has_not"

BLUEPRINT_MEMBERS = (NAME, DELIVERY, STAGES)
STAGE_MEMBERS = (NAME, AFTER, TAXONOMY, PARAMETERS, WHEN)
CONDITION_MEMBERS = (STAGE, ATTRIBUTE, HAS, HAS_NOT)

# How a blueprint delivers.
BY_TASK = "task"
BY_STAGE = "stage"
DELIVERIES = (BY_TASK, BY_STAGE)

# Of a task, and of a create that chooses another blueprint than the active one.
BLUEPRINT = "blueprint"

# The states of a stage.
WAITING = "waiting"
PENDING = "pending"
COMPLETED = "completed"
SKIPPED = "skipped"

# Where conditions look for the values of attributes: response.annotations[*].attributes[name].
ANNOTATIONS = "annotations"

ONLY_FIXLESS = (  # that it is refused is documented (Multi-Stage Overview); the words are not
    f'The task is delivered as a whole ("{DELIVERY}": "{BY_TASK}"), and standard audits need stage-level delivery'
    f' ("{DELIVERY}": "{BY_STAGE}" in its blueprint). Make a fixless audit: PUT /audits.'
)


def blueprint_document(body: bytes, delivery: bytes, *, active: bool, created_ms: int, version: int) -> bytes:
    """A blueprint as it was sent, with how it delivers if that was left out, and the server's own members."""
    head = body[:-1] + delivery
    tail = f',"active":{"true" if active else "false"},"created_at":"{iso(created_ms)}","version":{version}}}'
    return head + tail.encode()


def delivery_member(delivery: str) -> bytes:
    """The member that a blueprint without one gets."""
    return b"," + text(DELIVERY) + b":" + text(delivery)


def blueprint_list(documents: Iterable[bytes]) -> bytes:
    """All blueprints of a project."""
    return b'{"docs":[' + b",".join(documents) + b"]}"


def stage_document(
    name: str,
    status: str,
    *,
    started_ms: int = 0,
    completed_ms: int = 0,
    because: str = "",
    delivered_ms: int = 0,
    response: bytes | None = None,
) -> bytes:
    """One stage of a task. Only stage-level delivery has `delivered_ms` and `response`."""
    out = [b"{" + text(NAME) + b":" + text(name) + b',"status":' + text(status)]
    times = (("started_at", started_ms), ("completed_at", completed_ms), ("delivered_at", delivered_ms))
    out += [f',"{member}":"{iso(ms)}"'.encode() for member, ms in times if ms]
    if because:
        out.append(b',"skipped_because":' + text(because))
    if response is not None:
        out.append(b',"response":' + response)
    return b"".join(out) + b"}"


def task_members(blueprint: str, delivery: str, stages: Iterable[bytes]) -> bytes:
    """What a task with a blueprint has in addition to every other task; begins with a comma."""
    head = b"," + text(BLUEPRINT) + b":" + text(blueprint) + delivery_member(delivery)
    return head + b"," + text(STAGES) + b":[" + b",".join(stages) + b"]"


def whole_response(answers: dict[str, bytes]) -> bytes:
    """The response of a task that is delivered as a whole: by stage, what it added."""
    return join({STAGES: join(answers)})


def stage_callback(task_id: str, stage: str, response: bytes, task: bytes) -> bytes:
    """The body of the callback for one stage."""
    members = {"task_id": text(task_id), STAGE: text(stage), "response": response, "task": task}
    return join(members)
