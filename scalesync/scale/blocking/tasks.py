"""The methods of `scalesync.scale.methods.tasks` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scalesync.scale.base import Blocking
from scalesync.scale.blocking.results import Task
from scalesync.scale.listing import BlockingListing


class Tasks(Blocking):
    """`scalesync.scale.methods.tasks.Tasks` without async."""

    def create_task(self, task_type: str, *, unique_id: str | None = None, **fields: Any) -> Task:
        """Create one task."""
        found: Task = self._own(self._client.create_task(task_type, unique_id=unique_id, **fields))
        return found

    def get_task(self, task_id: str) -> Task:
        """Show one task."""
        found: Task = self._own(self._client.get_task(task_id))
        return found

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
    ) -> BlockingListing[Task]:
        """List tasks, newest first."""
        return self._listed(
            self._client.get_tasks(
                project_name=project_name,
                batch_name=batch_name,
                task_type=task_type,
                status=status,
                review_status=review_status,
                unique_id=unique_id,
                tags=tags,
                created_after=created_after,
                created_before=created_before,
                completed_after=completed_after,
                completed_before=completed_before,
                updated_after=updated_after,
                updated_before=updated_before,
                include_attachment_url=include_attachment_url,
                limited_response=limited_response,
                page_size=page_size,
                limit=limit,
                cursor=cursor,
            )
        )

    def get_tasks_count(
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
        """Count the tasks that fit, with one request."""
        return self._wait(
            self._client.get_tasks_count(
                project_name=project_name,
                batch_name=batch_name,
                task_type=task_type,
                status=status,
                review_status=review_status,
                unique_id=unique_id,
                tags=tags,
                created_after=created_after,
                created_before=created_before,
                completed_after=completed_after,
                completed_before=completed_before,
                updated_after=updated_after,
                updated_before=updated_before,
                include_attachment_url=include_attachment_url,
            )
        )

    def cancel_task(self, task_id: str, *, clear_unique_id: bool | None = None) -> Task:
        """Cancel a task that nobody has begun."""
        found: Task = self._own(self._client.cancel_task(task_id, clear_unique_id=clear_unique_id))
        return found

    def audit_task(self, task_id: str, accepted: bool, comments: str | None = None) -> Any:
        """Accept or reject a completed task."""
        return self._wait(self._client.audit_task(task_id, accepted, comments))

    def update_task_unique_id(self, task_id: str, unique_id: str) -> Task:
        """Give a task another unique_id."""
        found: Task = self._own(self._client.update_task_unique_id(task_id, unique_id))
        return found

    def clear_task_unique_id(self, task_id: str) -> Task:
        """Take the unique_id off a task."""
        found: Task = self._own(self._client.clear_task_unique_id(task_id))
        return found

    def set_task_metadata(self, task_id: str, metadata: Mapping[str, Any]) -> Task:
        """Replace the metadata of a task."""
        found: Task = self._own(self._client.set_task_metadata(task_id, metadata))
        return found

    def set_task_tags(self, task_id: str, tags: str | Sequence[str]) -> Task:
        """Replace the tags of a task."""
        found: Task = self._own(self._client.set_task_tags(task_id, tags))
        return found

    def add_task_tags(self, task_id: str, tags: str | Sequence[str]) -> Task:
        """Add tags to a task."""
        found: Task = self._own(self._client.add_task_tags(task_id, tags))
        return found

    def delete_task_tags(self, task_id: str, tags: str | Sequence[str]) -> Task:
        """Remove tags from a task."""
        found: Task = self._own(self._client.delete_task_tags(task_id, tags))
        return found

    def send_callback(self, task_id: str) -> Any:
        """Call the task's callback again."""
        return self._wait(self._client.send_callback(task_id))
