"""The task types of Scale's v1: the fields that a create needs, and the fields that it may have.

Sources: Scale's documentation of each type, the public documentation of 2018, the official SDK and its tests, recorded
calls. New types and fields appear between releases, so a type that is not in this list is not an error.
"""

from __future__ import annotations

from scalesync.model.selection import TaskFields
from scalesync.platforms.scale.multistage import wire as multistage

_COMMON = """
    project batch project_version instruction callback_url attachment attachments attachment_type metadata priority
    unique_id clear_unique_id_on_error tags urgency hypothesis base_annotations can_add_base_annotations
    can_edit_base_annotations can_edit_base_annotation_labels can_delete_base_annotations title description layers
    padding padding_x padding_y context_attachments annotation_attributes links global_attributes
"""
COMMON = frozenset(_COMMON.split())


def _type(*required: str, optional: str = "") -> TaskFields:
    """required: names of fields; "a|b" needs one of the two."""
    groups = tuple(tuple(group.split("|")) for group in required)
    return TaskFields(groups, COMMON | {name for group in groups for name in group} | set(optional.split()))


_BOXES = "with_labels min_width min_height min_vertices max_vertices examples"
_CUBOIDS = (
    f"{_BOXES} min_annotations max_annotations camera_intrinsics camera_rotation_quaternion camera_height splines"
)

TYPES = {
    "imageannotation": _type("attachment", "geometries"),
    "segmentannotation": _type("attachment", "labels", optional="instance_labels allow_unlabeled allow_parent_labels"),
    "annotation": _type("attachment", "objects_to_annotate", optional=_BOXES),
    "polygonannotation": _type("attachment", "objects_to_annotate", optional=_BOXES),
    "lineannotation": _type("attachment", "objects_to_annotate", optional=f"{_BOXES} splines"),
    "pointannotation": _type("attachment", "objects_to_annotate", optional=_BOXES),
    "cuboidannotation": _type("attachment", "objects_to_annotate", optional=_CUBOIDS),
    "categorization": _type(
        "attachment|attachments", "attachment_type", "categories", optional="category_ids allow_multiple"
    ),
    "comparison": _type("attachments", "attachment_type", "choices|fields"),
    "transcription": _type("attachment", "attachment_type", "fields|repeatable_fields|row_fields"),
    "datacollection": _type("attachment", "attachment_type", "fields"),
    "audiotranscription": _type("attachment", optional="verbatim phrases skip_human_transcription"),
    "phonecall": _type("phone_number", "entity_name", "script", "fields|choices"),
    "documenttranscription": _type("attachment", "features"),
    "namedentityrecognition": _type("text", "labels"),
    "textcollection": _type("attachments", "fields", optional="responses_required"),
    "videoannotation": _type("attachment|attachments", "geometries", optional="events_to_annotate frame_rate"),
    "videoplaybackannotation": _type(
        "attachment|attachments",
        "geometries",
        optional="frame_rate events_to_annotate annotation_frame_rate video_frame_rate",
    ),
    "lidarannotation": _type(
        "attachments", "labels", optional="pitch_and_roll_enabled meters_per_unit max_distance_meters"
    ),
    "lidarsegmentation": _type("attachments|lidar_task", optional="lidar_task_frames labels"),
    "lidartopdown": _type("project", "attachment|attachments", optional="geometries labels"),
    "sensorfusion": _type(
        "attachments", "scene_format", "project", optional="annotation_definition is_frameless labels"
    ),
    multistage.TYPE: _type(*multistage.REQUIRED, optional=f"geometries labels {multistage.BLUEPRINT}"),
}
