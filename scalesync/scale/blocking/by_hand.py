"""The methods of `scalesync.scale.by_hand` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, BinaryIO

from scalesync.platforms.scale.api.objects import File
from scalesync.scale.base import Blocking
from scalesync.scale.blocking.results import Batch, Project, Task
from scalesync.scale.listing import Envelope


class ByHand(Blocking):
    """`scalesync.scale.by_hand.ByHand` without async."""

    def upload_file(
        self,
        file: str | PathLike[str] | BinaryIO,
        *,
        project_name: str | None = None,
        display_name: str | None = None,
        reference_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> File:
        """Upload a file for the attachments of tasks. It is read while it is sent, never into memory whole."""
        return self._wait(
            self._client.upload_file(
                file, project_name=project_name, display_name=display_name, reference_id=reference_id, metadata=metadata
            )
        )

    def tasks(self, **query: Any) -> Envelope[Task]:
        """One page of tasks as the API answers it, with `total` and the `next_token` of the next page."""
        found: Envelope[Task] = self._own(self._client.tasks(**query))
        return found

    def batches(self, **query: Any) -> Envelope[Batch]:
        """One page of batches as the API answers it, with `total`."""
        found: Envelope[Batch] = self._own(self._client.batches(**query))
        return found

    def projects(self) -> list[Project]:
        """List all projects, as `get_projects` does."""
        found: list[Project] = self._own(self._client.projects())
        return found
