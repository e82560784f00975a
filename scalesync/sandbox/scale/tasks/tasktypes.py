"""What each task type requires, and the defaults for fields that a create leaves out.

Sources: official SDK (names), Scale docs per type, the public documentation of 2018 and recorded
replies of 2016 and 2019 (required fields, defaults, default instructions). A type without documented
parameters requires nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OBJECTS = ("objects_to_annotate",)
MEDIA = frozenset({"text", "image", "video", "audio", "website", "pdf"})
IMAGE = frozenset({"image"})


@dataclass(frozen=True)
class TaskType:
    """Requirements of one type.

    required: groups of fields; a create must have at least one field of each group.
    defaults: raw JSON for `params`, if neither task nor project has the field.
    kinds: allowed values of `attachment_type`; empty allows all.
    """

    required: tuple[tuple[str, ...], ...] = ()
    defaults: dict[str, bytes] = field(default_factory=dict)
    instruction: str = "Please complete the task as described."
    kinds: frozenset[str] = frozenset()
    needs_project: bool = False


def _boxes(instruction: str, **defaults: bytes) -> TaskType:
    filled = {"attachment_type": b'"image"', "with_labels": b"false", **defaults}
    return TaskType((("attachment",), OBJECTS), filled, instruction, IMAGE)


_FRAMES = TaskType((("attachments",), ("labels",)), {"attachment_type": b'"json"'}, "Please label each object.")
_OPEN = TaskType()

TYPES: dict[str, TaskType] = {
    "annotation": _boxes("Please draw a box around each object.", min_width=b"0", min_height=b"0"),
    "polygonannotation": _boxes("Please outline each object."),
    "lineannotation": _boxes("Please draw a line along each object.", splines=b"false"),
    "pointannotation": _boxes("Please place a point on each object."),
    "cuboidannotation": _boxes(
        "Please draw a cuboid around each object.", with_labels=b"true", min_annotations=b"0", max_annotations=b"0"
    ),
    "imageannotation": TaskType(
        (("attachment",), ("geometries",)),
        {"attachment_type": b'"image"'},
        "Please label the objects in the image.",
        IMAGE,
    ),
    "segmentannotation": TaskType(
        (("attachment",), ("labels",)),
        {
            "attachment_type": b'"image"',
            "instance_labels": b"[]",
            "allow_unlabeled": b"false",
            "allow_parent_labels": b"false",
        },
        "Please segment the image using the given labels.",
        IMAGE,
    ),
    "categorization": TaskType(
        (("attachment", "attachments"), ("attachment_type",), ("categories",)),
        {"allow_multiple": b"false"},
        "Please choose the best category.",
        MEDIA,
    ),
    "comparison": TaskType(
        (("attachments",), ("attachment_type",), ("choices", "fields")),
        {},
        "Please compare the attachments.",
        MEDIA,
    ),
    "transcription": TaskType(
        (("attachment",), ("attachment_type",), ("fields", "repeatable_fields", "row_fields")),
        {},
        "Please transcribe the attachment.",
        frozenset({"image", "pdf", "website"}),
    ),
    "datacollection": TaskType(
        (("attachment",), ("attachment_type",), ("fields",)),
        {},
        "Please collect the requested data.",
        frozenset({"text", "image", "website"}),
    ),
    "audiotranscription": TaskType(
        (("attachment",),),
        {"attachment_type": b'"audio"', "verbatim": b"false", "skip_human_transcription": b"false"},
        "Please transcribe the attached audio file.",
        frozenset({"audio"}),
    ),
    "phonecall": TaskType(
        (("phone_number",), ("entity_name",), ("script",), ("fields", "choices")),
        {},
        "Please call the number and follow the script.",
    ),
    "documenttranscription": TaskType((("attachment", "attachments"), ("features",))),
    "documentmodel": _OPEN,
    "namedentityrecognition": TaskType((("text",), ("labels",)), {}, "Please mark the entities."),
    "textcollection": TaskType((("attachments",), ("fields",)), {}, "Please answer the questions."),
    "chat": _OPEN,
    "chatexperimental": _OPEN,
    "chatlite": _OPEN,
    "multichat": _OPEN,
    "videoannotation": TaskType(
        (("attachment", "attachments"), ("geometries",)),
        {"attachment_type": b'"image"', "annotation_attributes": b"{}", "events_to_annotate": b"[]"},
        "Please label the objects in the video.",
        frozenset({"image", "video"}),
    ),
    "videoplaybackannotation": TaskType(
        (("attachment", "attachments"), ("geometries",)),
        {"attachment_type": b'"video"', "frame_rate": b"1"},
        "Please label the objects in the video.",
        frozenset({"image", "video"}),
    ),
    "videoboxannotation": _OPEN,
    "videocuboidannotation": _OPEN,
    "laneannotation": _OPEN,
    "federal2dvideoannotation": _OPEN,
    "lidarannotation": _FRAMES,
    "lidarsegmentation": TaskType((("attachments", "lidar_task"),), {}, "Please label each point."),
    "lidarlinking": _OPEN,
    "lidartopdown": TaskType((("attachment", "attachments"),), {}, needs_project=True),
    "sensorfusion": TaskType((("attachments",), ("scene_format",)), {}, needs_project=True),
    "multistage": TaskType((("attachments",), ("scene_format",)), {}, needs_project=True),
}

ALIASES = {"categorize": "categorization"}  # path of 2016; the reply's type is the newer name

# Required fields with a shape; the server accepts any value for the others.
ARRAYS = frozenset(
    {
        "attachments",
        "categories",
        "choices",
        "objects_to_annotate",
        "labels",
        "features",
        "instance_labels",
    }
)
STRINGS = frozenset(
    {
        "attachment",
        "attachment_type",
        "text",
        "phone_number",
        "entity_name",
        "script",
        "scene_format",
    }
)
OBJECT_FIELDS = frozenset({"geometries", "annotation_attributes"})
# The members of a create that the reply does not echo under `params`.
COMMON = frozenset(
    {
        "project",
        "batch",
        "project_version",
        "instruction",
        "callback_url",
        "metadata",
        "priority",
        "unique_id",
        "clear_unique_id_on_error",
        "tags",
        "urgency",
    }
)
