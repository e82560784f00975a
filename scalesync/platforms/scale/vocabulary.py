"""Names that Scale documents. Neither list is complete: new types and fields appear between releases."""

from __future__ import annotations

# Source: the official SDK's enum of task types, and the older names that tasks of an account may still have.
TASK_TYPES = frozenset(
    {
        *("annotation", "audiotranscription", "categorization", "chat", "chatexperimental", "chatlite", "comparison"),
        *("cuboidannotation", "datacollection", "documentmodel", "documenttranscription", "federal2dvideoannotation"),
        *("imageannotation", "laneannotation", "lidarannotation", "lidarlinking", "lidarsegmentation", "lidartopdown"),
        *("lineannotation", "multichat", "multistage", "namedentityrecognition", "phonecall", "pointannotation"),
        *("polygonannotation", "segmentannotation", "sensorfusion", "textcollection", "transcription"),
        *("videoannotation", "videoboxannotation", "videocuboidannotation", "videoplaybackannotation"),
    }
)

# Source: documentation, SDKs and recorded replies.
TASK_FIELDS = frozenset(
    {
        *("task_id", "unique_id", "type", "status", "project", "batch", "tags", "created_at", "updated_at"),
        *("completed_at", "instruction", "params", "response", "metadata", "is_test", "urgency", "priority"),
        *("callback_url", "callback_succeeded", "callback_succeeded_at", "customer_review_status", "audits"),
        *("work_started", "processed_attachments", "project_param_version", "projectId", "attachment_url"),
        *("customerId", "appsheetProjectId", "taxonomyVersion", "postProcessingResults", "isProcessed"),
    }
)
