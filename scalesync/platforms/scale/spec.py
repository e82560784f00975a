"""The static facts about Scale: addresses, words, keys, rates. No network."""

from __future__ import annotations

from scalesync.model.targets import Mode, RequestClass
from scalesync.platforms.scale.bodies import ScaleShaper
from scalesync.platforms.scale.changes.table import CHANGES
from scalesync.platforms.scale.documents import read_document
from scalesync.platforms.scale.multistage import wire as multistage
from scalesync.platforms.scale.multistage.parts import parts_of
from scalesync.platforms.scale.task_types import TYPES
from scalesync.platforms.scale.vocabulary import TASK_FIELDS, TASK_TYPES
from scalesync.ports.spec import (
    BlueprintRule,
    ClassLimit,
    KeyRule,
    KeyStrength,
    Offer,
    Option,
    PlatformSpec,
    Variables,
    Vocabulary,
)

CREATES_PER_SECOND = "30"  # the only rate that Scale publishes
# A guess: no source says how long a request may take effect after its connection broke. Proxies of such services give
# a request up after 30 s, and lists may lag a little behind.
LANDING_S = 60.0
APIS = {"v1": "scale", "v2": "scale-v2"}
# The types that version 2 documents as its own, and the older names of chats that it shows as well; its create call
# takes them all, for the project decides about the type. Version 1 creates everything else.
CHATS = frozenset({"chat", "chatexperimental", "chatlite", "chatv2", "multichat"})


def mode_of(key: str) -> Mode:
    """The mode of a key, from its spelling alone."""
    return Mode.TEST if key.startswith("test_") or key.endswith("|test") else Mode.LIVE


def seconds(text: str) -> float:
    """A number of seconds. Raises ValueError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise ValueError("use seconds from 0 to 86400")
    return value


SPEC = PlatformSpec(
    name="scale",
    title="Scale AI",
    hosts=("api.scale.com",),
    default_url="https://api.scale.com/v1",
    root_like="https://api.scale.com/v1",
    variables=Variables("SCALE_API_KEY", "SCALE_API_URL"),
    vocabulary=Vocabulary(
        key="unique_id",
        ref="task_id",
        statuses=("pending", "completed", "canceled", "error"),
        new="pending",
        done="completed",
        dead=frozenset({"canceled", "error"}),
        failed="error",
        reclaimable=("canceled", "error"),
        reviews=("pending", "accepted", "fixed", "rejected", "commented"),
    ),
    key=KeyRule(strength=KeyStrength.ENFORCED),
    shaper=ScaleShaper(),
    view=read_document,
    parts=parts_of,
    blueprints=BlueprintRule(frozenset({multistage.TYPE}), multistage.BLUEPRINT),
    page_most=100,
    adapter="scalesync.platforms.scale.adapter:ScalePlatform",
    resources="scalesync.scale.resources:RESOURCES",
    mode_of=mode_of,
    limits={RequestClass.CREATE: ClassLimit(rate=CREATES_PER_SECOND)},
    apis=APIS,
    api_of_types=dict.fromkeys(sorted(CHATS), "v2"),
    types=TYPES,
    known_types=TASK_TYPES,
    fields=TASK_FIELDS,
    options={
        "audit_landing_s": Option(
            f"seconds in which an audit that got no answer may still take effect [{LANDING_S:g}]", seconds
        )
    },
    changes=CHANGES,
    offers={
        "import": Offer(True, "exactly once: the server refuses a unique_id that is in use"),
        "export": Offer(True, "in pages, cut by creation time; increments by the time of change"),
        "export --incremental": Offer(True, "tasks whose updated_at is new; tasks are never deleted"),
        "export --via job": Offer(False, "it makes no export files; its lists hold every task"),
        "export --download-responses": Offer(True, "the files that response.*.url points at"),
        "backfill export": Offer(True, "in windows of creation or completion time"),
        "status --refresh": Offer(True, "by unique_id, a hundred tasks in a call"),
        "verify": Offer(True, "by unique_id"),
        "ledger rebuild": Offer(True, "by unique_id"),
    },
)
