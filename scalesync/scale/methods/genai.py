"""Calls about chats (version 2), as methods."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scalesync.platforms.scale.api.objects import V2Annotation, V2Batch, V2BatchChange, V2Project, V2Schema, V2Task
from scalesync.scale.base import Base
from scalesync.scale.listing import Listing


class GenAI(Base):
    """Calls about chats (version 2)."""

    async def v2_create_chat_task(
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
        """Create one chat task.

        project_id: the id of the project.
        project_name: the name of the project.
        batch_id: the id of the batch.
        batch_name: the name of the batch.
        template_variables: what the project's template asks for.
        metadata: what you want to keep with it.
        callback_url: what hears when the task is done.
        Give project_id or project_name.
        """
        return await self._object(
            "v2_create_chat_task",
            V2Task,
            {
                "project_id": project_id,
                "project_name": project_name,
                "batch_id": batch_id,
                "batch_name": batch_name,
                "template_variables": template_variables,
                "metadata": metadata,
                "callback_url": callback_url,
            },
        )

    async def v2_get_task(
        self, task_id: str, *, expand: str | Sequence[str] | None = None, opts: str | Sequence[str] | None = None
    ) -> V2Task:
        """Show one chat task.

        task_id: the id of the task.
        expand: objects to show instead of their ids, such as project.
        opts: what else to show: annotation_details, attachment_details, model_parameters, submissions.
        """
        return await self._object("v2_get_task", V2Task, {"task_id": task_id, "expand": expand, "opts": opts})

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
    ) -> Listing[V2Task]:
        """List chat tasks of a project or batch.

        project_id: the id of the project.
        project_name: the name of the project.
        batch_id: the id of the batch.
        batch_name: the name of the batch.
        status: only tasks in this status: pending, completed, canceled, error, deleted.
        completed_after: completed after this time.
        completed_before: completed before this time.
        page_size: how many in one answer, at most 100.
        expand: objects to show instead of their ids, such as project.
        opts: what else to show: annotation_details, attachment_details, model_parameters, submissions.
        Give project_id or project_name or batch_id or batch_name.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "v2_get_tasks",
            V2Task,
            {
                "project_id": project_id,
                "project_name": project_name,
                "batch_id": batch_id,
                "batch_name": batch_name,
                "status": status,
                "completed_after": completed_after,
                "completed_before": completed_before,
                "page_size": page_size,
                "expand": expand,
                "opts": opts,
            },
            cursor,
            limit,
        )

    async def v2_set_task_metadata(
        self, task_id: str, metadata: Mapping[str, Any], *, merge: bool | None = None
    ) -> V2Task:
        """Set the metadata of a chat task.

        task_id: the id of the task.
        metadata: the metadata.
        merge: merge it into what is there, instead of replacing that.
        """
        return await self._object(
            "v2_set_task_metadata", V2Task, {"task_id": task_id, "metadata": metadata, "merge": merge}
        )

    async def v2_get_annotation(self, annotation_id: str) -> V2Annotation:
        """Show one annotation.

        annotation_id: the id of the annotation.
        """
        return await self._object("v2_get_annotation", V2Annotation, {"annotation_id": annotation_id})

    async def v2_get_schema(self, schema_id: str) -> V2Schema:
        """Show the JSON Schema of delivered answers.

        schema_id: the id of the schema, as delivered tasks name it.
        """
        return await self._object("v2_get_schema", V2Schema, {"schema_id": schema_id})

    async def v2_create_batch(
        self,
        name: str,
        *,
        project_id: str | None = None,
        project_name: str | None = None,
        callback: str | None = None,
        staging_batch: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> V2Batch:
        """Create a batch of chats.

        name: a name that no other batch of the account has.
        project_id: the id of the project.
        project_name: the name of the project.
        callback: a URL or an address of e-mail that hears when the batch is done.
        staging_batch: wait for `finalize` before people begin.
        metadata: what you want to keep with it.
        Give project_id or project_name.
        """
        return await self._object(
            "v2_create_batch",
            V2Batch,
            {
                "name": name,
                "project_id": project_id,
                "project_name": project_name,
                "callback": callback,
                "staging_batch": staging_batch,
                "metadata": metadata,
            },
        )

    async def v2_get_batch(
        self, *, batch_id: str | None = None, batch_name: str | None = None, expand: str | Sequence[str] | None = None
    ) -> V2Batch:
        """Show one batch of chats.

        batch_id: the id of the batch.
        batch_name: the name of the batch.
        expand: objects to show instead of their ids, such as project.
        Give batch_id or batch_name.
        """
        return await self._object(
            "v2_get_batch", V2Batch, {"batch_id": batch_id, "batch_name": batch_name, "expand": expand}
        )

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
    ) -> Listing[V2Batch]:
        """List batches of chats.

        project_id: the id of the project.
        project_name: the name of the project.
        status: only batches in this status: staging, in_progress, completed, paused, cancelled.
        created_after: created after this time.
        created_before: created before this time.
        completed_after: completed after this time.
        completed_before: completed before this time.
        page_size: how many in one answer, at most 100.
        expand: objects to show instead of their ids, such as project.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "v2_get_batches",
            V2Batch,
            {
                "project_id": project_id,
                "project_name": project_name,
                "status": status,
                "created_after": created_after,
                "created_before": created_before,
                "completed_after": completed_after,
                "completed_before": completed_before,
                "page_size": page_size,
                "expand": expand,
            },
            cursor,
            limit,
        )

    async def v2_finalize_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2Batch:
        """Say that a batch has all its tasks.

        batch_id: the id of the batch.
        batch_name: the name of the batch.
        Give batch_id or batch_name.
        """
        return await self._object("v2_finalize_batch", V2Batch, {"batch_id": batch_id, "batch_name": batch_name})

    async def v2_pause_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2BatchChange:
        """Pause the tasks of a batch that nobody has begun.

        batch_id: the id of the batch.
        batch_name: the name of the batch.
        Give batch_id or batch_name.
        """
        return await self._object("v2_pause_batch", V2BatchChange, {"batch_id": batch_id, "batch_name": batch_name})

    async def v2_resume_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2BatchChange:
        """Resume a batch that was paused.

        batch_id: the id of the batch.
        batch_name: the name of the batch.
        Give batch_id or batch_name.
        """
        return await self._object("v2_resume_batch", V2BatchChange, {"batch_id": batch_id, "batch_name": batch_name})

    async def v2_cancel_batch(self, *, batch_id: str | None = None, batch_name: str | None = None) -> V2BatchChange:
        """Cancel the tasks of a batch that nobody has begun.

        batch_id: the id of the batch.
        batch_name: the name of the batch.
        Give batch_id or batch_name.
        """
        return await self._object("v2_cancel_batch", V2BatchChange, {"batch_id": batch_id, "batch_name": batch_name})

    async def v2_set_batch_metadata(
        self,
        metadata: Mapping[str, Any],
        *,
        batch_id: str | None = None,
        batch_name: str | None = None,
        merge: bool | None = None,
    ) -> V2Batch:
        """Set the metadata of a batch.

        batch_id: the id of the batch.
        batch_name: the name of the batch.
        metadata: the metadata.
        merge: merge it into what is there, instead of replacing that.
        Give batch_id or batch_name.
        """
        return await self._object(
            "v2_set_batch_metadata",
            V2Batch,
            {"batch_id": batch_id, "batch_name": batch_name, "metadata": metadata, "merge": merge},
        )

    async def v2_get_project(self, *, project_id: str | None = None, project_name: str | None = None) -> V2Project:
        """Show one chat project.

        project_id: the id of the project.
        project_name: the name of the project.
        Give project_id or project_name.
        """
        return await self._object("v2_get_project", V2Project, {"project_id": project_id, "project_name": project_name})

    async def v2_get_projects(
        self, *, created_after: str | datetime | None = None, created_before: str | datetime | None = None
    ) -> list[V2Project]:
        """List chat projects.

        created_after: created after this time.
        created_before: created before this time.
        """
        return await self._objects(
            "v2_get_projects", V2Project, {"created_after": created_after, "created_before": created_before}
        )
