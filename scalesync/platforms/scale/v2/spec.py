"""The static facts about version 2 of Scale's API. No network."""

from __future__ import annotations

from scalesync.model.selection import TaskFields
from scalesync.platforms.scale.spec import APIS, CHATS, LANDING_S, seconds
from scalesync.platforms.scale.spec import SPEC as VERSION_1
from scalesync.platforms.scale.v2.documents import read_chat
from scalesync.platforms.scale.v2.files import KEYED
from scalesync.platforms.scale.v2.reading import OPTIONS, reading
from scalesync.platforms.scale.v2.shaper import KEY, ChatShaper
from scalesync.ports.spec import KeyRule, KeyStrength, Offer, Option, PlatformSpec, Vocabulary

DEAD = frozenset({"canceled", "error", "deleted"})
# Members of Task2, with those that `opts` and `expand` add (official SDK).
FIELDS = "task_id project batch status created_at completed_at metadata threads errors sensitive_content_reports"
# The parameters of the create call, with names in place of ids.
RECORD = frozenset({"project_name", "batch_name", "template_variables", "metadata", "callback_url"})


# A chat has its project and batch as objects and its answer as threads; what was delivered has neither status nor key.
COLUMNS = {
    "unique_id": (f"metadata.{KEY}",),
    "project": ("project.name", "project"),
    "batch": ("batch.name", "batch"),
    "updated_at": ("delivered_at", "delivery.delivered_at"),
    "response": ("response", "threads"),
    "delivery": ("delivery_id", "delivery.id"),
    "dataset": ("dataset.id", "dataset"),
}

SPEC = PlatformSpec(
    name="scale-v2",
    title="Scale AI, API v2 (GenAI)",
    hosts=VERSION_1.hosts,
    default_url="https://api.scale.com/v2",
    root_like="https://api.scale.com/v2",
    other_roots=("/v1",),
    apis=APIS,
    variables=VERSION_1.variables,
    vocabulary=Vocabulary(
        key=f"metadata.{KEY}",
        ref="task_id",
        type=None,
        statuses=("pending", "completed", "canceled", "error", "deleted"),
        new="pending",
        done="completed",
        dead=DEAD,
        failed="error",
        reclaimable=("canceled", "error"),
        type_required=False,
    ),
    key=KeyRule(strength=KeyStrength.LABEL, landing_s=LANDING_S, namespaced=True, removes=True, listed=True),
    shaper=ChatShaper(),
    view=read_chat,
    page_most=100,
    adapter="scalesync.platforms.scale.v2.adapter:ScaleChatPlatform",
    mode_of=VERSION_1.mode_of,
    columns=COLUMNS,
    reading=reading,
    keyed_files=KEYED,
    limits=VERSION_1.limits,
    types=dict.fromkeys(sorted(CHATS), TaskFields((("template_variables",),), RECORD)),
    known_types=CHATS,
    only_types=CHATS,
    fields=frozenset(FIELDS.split()),
    options={
        "landing_s": Option(
            f"seconds in which a create that got no answer may still take effect [{LANDING_S:g}]", seconds
        ),
        **OPTIONS,
    },
    offers={
        "import": Offer(
            True,
            f"chats: looked up by listing their project once, then their batch; the key is a label in metadata.{KEY}",
        ),
        "export": Offer(
            True,
            "one of three lists, each in one chain of pages: chats of a project or batch; `--with list=deliveries`;"
            " `--with dataset=...`",
        ),
        "export --incremental": Offer(
            True,
            "deliveries and datasets by the time of delivery; chats do not show when they changed, so all are read"
            " again, and those that differ are kept",
        ),
        "export --download-responses": Offer(True, "the files that an answer names; content in a line stays there"),
        "backfill export": Offer(
            True,
            "chats by time of completion (`--by completed`) or creation; deliveries and datasets by time of delivery"
            " (`--by updated`)",
        ),
        "export --via job": Offer(False, "it makes no export files; its lists hold every task"),
        "status --refresh": Offer(True, "by listing the project"),
        "verify": Offer(True, "by listing the project; finds records with several tasks"),
        "verify --fix": Offer(True, "cancels second tasks that nobody has worked on"),
        "ledger rebuild": Offer(True, "by the label in the metadata"),
        "apply": Offer(
            False,
            "not yet: of what it changes, version 2 documents nothing for a single chat but its metadata, and how a"
            " chat takes a cancel of version 1 is a guess",
        ),
    },
)
