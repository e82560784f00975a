"""The methods of `scalesync.scale.methods.files` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.platforms.scale.api.objects import File, QualityTask
from scalesync.scale.base import Blocking


class Files(Blocking):
    """`scalesync.scale.methods.files.Files` without async."""

    def import_file(
        self,
        file_url: str,
        *,
        project_name: str | None = None,
        display_name: str | None = None,
        reference_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> File:
        """Let the service fetch a file."""
        return self._wait(
            self._client.import_file(
                file_url,
                project_name=project_name,
                display_name=display_name,
                reference_id=reference_id,
                metadata=metadata,
            )
        )

    def create_evaluation_task(
        self,
        task_type: str,
        expected_response: Mapping[str, Any],
        *,
        initial_response: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> QualityTask:
        """Create one evaluation task."""
        return self._wait(
            self._client.create_evaluation_task(
                task_type, expected_response, initial_response=initial_response, **fields
            )
        )

    def create_training_task(
        self,
        task_type: str,
        expected_response: Mapping[str, Any],
        *,
        initial_response: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> QualityTask:
        """Create one training task."""
        return self._wait(
            self._client.create_training_task(task_type, expected_response, initial_response=initial_response, **fields)
        )
