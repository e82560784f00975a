"""The methods of `scalesync.scale.methods.genai` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scalesync.platforms.scale.api.objects import V2Annotation, V2Batch, V2BatchChange, V2Project, V2Schema, V2Task
from scalesync.scale.base import Blocking
from scalesync.scale.listing import BlockingListing


class GenAI(Blocking):
    """`scalesync.scale.methods.genai.GenAI` without async."""

    def v2_create_chat_task(
        self,
        *,
        project_id: str | None = None,
        project_name: str | None = None,
        batch_id: str | None = None,
        batch_name: str | None = None,
        template_variables: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        callback_url: str | None = None,
    ) -> V2Task:
        """Create one chat task."""
        return self._wait(
            self._client.v2_create_chat_task(
                project_id=project_id,
                project_name=project_name,
                batch_id=batch_id,
                batch_name=batch_name,
                template_variables=template_variables,
                metadata=metadata,
                callback_url=callback_url,
            )
        )

    def v2_get_task(
        self, task_id: str, *, expand: str | Sequence[str] | None = None, opts: str | Sequence[str] | None = None
    ) -> V2Task:
        """Show one chat task."""
        return self._wait(self._client.v2_get_task(task_id, expand=expand, opts=opts))

    def v2_get_tasks(
        self,
        *,
        project_id: str | None = None,
        project_name: str | None = None,
        batch_id: str | None = None,
        batch_name: str | None = None,
        status: str | None = None,
        completed_after: str | datetime | None = None,
        completed_before: str | datetime | None = None,
        page_size: int | None = None,
        expand: str | Sequence[str] | None = None,
        opts: str | Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockingListing[V2Task]:
        """List chat tasks of a project or batch."""
        return self._listed(
            self._client.v2_get_tasks(
                project_id=project_id,
                project_name=project_name,
                batch_id=batch_id,
                batch_name=batch_name,
                status=status,
                completed_after=completed_after,
                completed_before=completed_before,
                page_size=page_size,
                expand=expand,
                opts=opts,
                limit=limit,
                cursor=cursor,
            )
        )

    def v2_set_task_metadata(self, task_id: str, metadata: Mapping[str, Any], *, merge: bool | None = None) -> V2Task:
        """Set the metadata of a chat task."""
        return self._wait(self._client.v2_set_task_metadata(task_id, metadata, merge=merge))

    def v2_get_annotation(self, annotation_id: str) -> V2Annotation:
        """Show one annotation."""
        return self._wait(self._client.v2_get_annotation(annotation_id))

    def v2_get_schema(self, schema_id: str) -> V2Schema:
        """Show the JSON Schema of delivered answers."""
        return self._wait(self._client.v2_get_schema(schema_id))

    def v2_create_batch(
        self,
        name: str,
        *,
        project_id: str | None = None,
        project_name: str | None = None,
        callback: str | None = None,
        staging_batch: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> V2Batch:
        """Create a batch of chats."""
        return self._wait(
            self._client.v2_create_batch(
                name,
                project_id=project_id,
                project_name=project_name,
                callback=callback,
                staging_batch=staging_batch,
                metadata=metadata,
            )
        )

    def v2_get_batch(
        self, *, batch_id: str | None = None, batch_name: str | None = None, expand: str | Sequence[str] | None = None
    ) -> V2Batch:
        """Show one batch of chats."""
        return self._wait(self._client.v2_get_batch(batch_id=batch_id, batch_name=batch_name, expand=expand))

    def v2_get_batches(
        self,
        *,
        project_id: str | None = None,
        project_name: str | None = None,
        status: str | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        completed_after: str | datetime | None = None,
        completed_before: str | datetime | None = None,
        page_size: int | None = None,
        expand: str | Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockingListing[V2Batch]:
        """List batches of chats."""
        return self._listed(
            self._client.v2_get_batches(
                project_id=project_id,
                project_name=project_name,
                status=status,
                created_after=created_after,
                created_before=created_before,
                completed_after=completed_after,
                completed_before=completed_before,
                page_size=page_size,
                expand=expand,
                limit=limit,
                cursor=cursor,
            )
        )

    def v2_finalize_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2Batch:
        """Say that a batch has all its tasks."""
        return self._wait(self._client.v2_finalize_batch(batch_id=batch_id, batch_name=batch_name))

    def v2_pause_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2BatchChange:
        """Pause the tasks of a batch that nobody has begun."""
        return self._wait(self._client.v2_pause_batch(batch_id=batch_id, batch_name=batch_name))

    def v2_resume_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2BatchChange:
        """Resume a batch that was paused."""
        return self._wait(self._client.v2_resume_batch(batch_id=batch_id, batch_name=batch_name))

    def v2_cancel_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2BatchChange:
        """Cancel the tasks of a batch that nobody has begun."""
        return self._wait(self._client.v2_cancel_batch(batch_id=batch_id, batch_name=batch_name))

    def v2_set_batch_metadata(
        self,
        metadata: Mapping[str, Any],
        *,
        batch_id: str | None = None,
        batch_name: str | None = None,
        merge: bool | None = None,
    ) -> V2Batch:
        """Set the metadata of a batch."""
        return self._wait(
            self._client.v2_set_batch_metadata(metadata, batch_id=batch_id, batch_name=batch_name, merge=merge)
        )

    def v2_get_project(self, *, project_id: str | None = None, project_name: str | None = None) -> V2Project:
        """Show one chat project."""
        return self._wait(self._client.v2_get_project(project_id=project_id, project_name=project_name))

    def v2_get_projects(
        self, *, created_after: str | datetime | None = None, created_before: str | datetime | None = None
    ) -> list[V2Project]:
        """List chat projects."""
        return self._wait(self._client.v2_get_projects(created_after=created_after, created_before=created_before))
