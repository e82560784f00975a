"""Calls about files, and tasks that measure annotators, as methods."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.platforms.scale.api.objects import File, QualityTask
from scalesync.scale.base import Base


class Files(Base):
    """Calls about files, and tasks that measure annotators."""

    async def import_file(
        self,
        file_url: str,
        *,
        project_name: str | None = None,
        display_name: str | None = None,
        reference_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> File:
        """Let the service fetch a file.

        file_url: where it is.
        project_name: the self-serve project that it belongs to.
        display_name: its name for people.
        reference_id: a name that no other file has.
        metadata: what you want to keep with it.
        """
        return await self._object(
            "import_file",
            File,
            {
                "file_url": file_url,
                "project_name": project_name,
                "display_name": display_name,
                "reference_id": reference_id,
                "metadata": metadata,
            },
        )

    async def create_evaluation_task(
        self,
        task_type: str,
        expected_response: Mapping[str, Any],
        *,
        initial_response: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> QualityTask:
        """Create one evaluation task.

        task_type: the type of the task.
        fields: what the task says, as for any task.
        expected_response: the answer that is right.
        initial_response: the answer that a reviewer is shown first.
        """
        return await self._object(
            "create_evaluation_task",
            QualityTask,
            {
                "task_type": task_type,
                "fields": fields,
                "expected_response": expected_response,
                "initial_response": initial_response,
            },
        )

    async def create_training_task(
        self,
        task_type: str,
        expected_response: Mapping[str, Any],
        *,
        initial_response: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> QualityTask:
        """Create one training task.

        task_type: the type of the task.
        fields: what the task says, as for any task.
        expected_response: the answer that is right.
        initial_response: the answer that a reviewer is shown first.
        """
        return await self._object(
            "create_training_task",
            QualityTask,
            {
                "task_type": task_type,
                "fields": fields,
                "expected_response": expected_response,
                "initial_response": initial_response,
            },
        )
