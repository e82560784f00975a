"""Calls about tasks, as methods."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scalesync.scale.base import Base
from scalesync.scale.listing import Listing
from scalesync.scale.methods.results import Task


class Tasks(Base):
    """Calls about tasks."""

    async def create_task(self, task_type: str, *, unique_id: str | None = None, **fields: Any) -> Task:
        """Create one task.

        task_type: the type of the task; new ones pass through.
        fields: what the task says: attachment, project, metadata, ...
        unique_id: a name that no other task of the account has.
        """
        return await self._object(
            "create_task", Task, {"task_type": task_type, "fields": fields, "unique_id": unique_id}
        )

    async def get_task(self, task_id: str) -> Task:
        """Show one task.

        task_id: the id of the task.
        """
        return await self._object("get_task", Task, {"task_id": task_id})

    def get_tasks(
        self,
        *,
        project_name: str | None = None,
        batch_name: str | None = None,
        task_type: str | None = None,
        status: str | None = None,
        review_status: str | Sequence[str] | None = None,
        unique_id: str | Sequence[str] | None = None,
        tags: str | Sequence[str] | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        completed_after: str | datetime | None = None,
        completed_before: str | datetime | None = None,
        updated_after: str | datetime | None = None,
        updated_before: str | datetime | None = None,
        include_attachment_url: bool | None = None,
        limited_response: bool | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[Task]:
        """List tasks, newest first.

        project_name: only tasks of this project.
        batch_name: only tasks of this batch.
        task_type: only tasks of this type.
        status: only tasks in this status: pending, completed, canceled, error.
        review_status: only tasks with one of these reviews.
        unique_id: only tasks with one of these unique_ids.
        tags: only tasks with one of these tags.
        created_after: created at this time or later.
        created_before: created at this time or earlier.
        completed_after: completed at this time or later.
        completed_before: completed at this time or earlier.
        updated_after: changed at this time or later.
        updated_before: changed at this time or earlier.
        include_attachment_url: let the server sign a link to each attachment, which takes it longer.
        limited_response: only task_id, status, metadata and project of each.
        page_size: tasks in one answer, at most 100.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "get_tasks",
            Task,
            {
                "project_name": project_name,
                "batch_name": batch_name,
                "task_type": task_type,
                "status": status,
                "review_status": review_status,
                "unique_id": unique_id,
                "tags": tags,
                "created_after": created_after,
                "created_before": created_before,
                "completed_after": completed_after,
                "completed_before": completed_before,
                "updated_after": updated_after,
                "updated_before": updated_before,
                "include_attachment_url": include_attachment_url,
                "limited_response": limited_response,
                "page_size": page_size,
            },
            cursor,
            limit,
        )

    async def get_tasks_count(
        self,
        *,
        project_name: str | None = None,
        batch_name: str | None = None,
        task_type: str | None = None,
        status: str | None = None,
        review_status: str | Sequence[str] | None = None,
        unique_id: str | Sequence[str] | None = None,
        tags: str | Sequence[str] | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        completed_after: str | datetime | None = None,
        completed_before: str | datetime | None = None,
        updated_after: str | datetime | None = None,
        updated_before: str | datetime | None = None,
        include_attachment_url: bool | None = None,
    ) -> int:
        """Count the tasks that fit, with one request.

        project_name: only tasks of this project.
        batch_name: only tasks of this batch.
        task_type: only tasks of this type.
        status: only tasks in this status: pending, completed, canceled, error.
        review_status: only tasks with one of these reviews.
        unique_id: only tasks with one of these unique_ids.
        tags: only tasks with one of these tags.
        created_after: created at this time or later.
        created_before: created at this time or earlier.
        completed_after: completed at this time or later.
        completed_before: completed at this time or earlier.
        updated_after: changed at this time or later.
        updated_before: changed at this time or earlier.
        include_attachment_url: let the server sign a link to each attachment, which takes it longer.
        """
        return await self._total(
            "get_tasks",
            {
                "project_name": project_name,
                "batch_name": batch_name,
                "task_type": task_type,
                "status": status,
                "review_status": review_status,
                "unique_id": unique_id,
                "tags": tags,
                "created_after": created_after,
                "created_before": created_before,
                "completed_after": completed_after,
                "completed_before": completed_before,
                "updated_after": updated_after,
                "updated_before": updated_before,
                "include_attachment_url": include_attachment_url,
            },
        )

    async def cancel_task(self, task_id: str, *, clear_unique_id: bool | None = None) -> Task:
        """Cancel a task that nobody has begun.

        task_id: the id of the task.
        clear_unique_id: let another task have its unique_id.
        """
        return await self._object("cancel_task", Task, {"task_id": task_id, "clear_unique_id": clear_unique_id})

    async def audit_task(self, task_id: str, accepted: bool, comments: str | None = None) -> Any:
        """Accept or reject a completed task.

        task_id: the id of the task.
        accepted: accept it, or reject it.
        comments: what the annotators should know.
        """
        return await self._value("audit_task", {"task_id": task_id, "accepted": accepted, "comments": comments})

    async def update_task_unique_id(self, task_id: str, unique_id: str) -> Task:
        """Give a task another unique_id.

        task_id: the id of the task.
        unique_id: a name that no other task of the account has.
        """
        return await self._object("update_task_unique_id", Task, {"task_id": task_id, "unique_id": unique_id})

    async def clear_task_unique_id(self, task_id: str) -> Task:
        """Take the unique_id off a task.

        task_id: the id of the task.
        """
        return await self._object("clear_task_unique_id", Task, {"task_id": task_id})

    async def set_task_metadata(self, task_id: str, metadata: Mapping[str, Any]) -> Task:
        """Replace the metadata of a task.

        task_id: the id of the task.
        metadata: the whole new metadata.
        """
        return await self._object("set_task_metadata", Task, {"task_id": task_id, "metadata": metadata})

    async def set_task_tags(self, task_id: str, tags: str | Sequence[str]) -> Task:
        """Replace the tags of a task.

        task_id: the id of the task.
        tags: the tags.
        """
        return await self._object("set_task_tags", Task, {"task_id": task_id, "tags": tags})

    async def add_task_tags(self, task_id: str, tags: str | Sequence[str]) -> Task:
        """Add tags to a task.

        task_id: the id of the task.
        tags: the tags.
        """
        return await self._object("add_task_tags", Task, {"task_id": task_id, "tags": tags})

    async def delete_task_tags(self, task_id: str, tags: str | Sequence[str]) -> Task:
        """Remove tags from a task.

        task_id: the id of the task.
        tags: the tags.
        """
        return await self._object("delete_task_tags", Task, {"task_id": task_id, "tags": tags})

    async def send_callback(self, task_id: str) -> Any:
        """Call the task's callback again.

        task_id: the id of the task.
        """
        return await self._value("send_callback", {"task_id": task_id})
