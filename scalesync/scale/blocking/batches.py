"""The methods of `scalesync.scale.methods.batches` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scalesync.platforms.scale.api.objects import BatchStatus
from scalesync.scale.base import Blocking
from scalesync.scale.blocking.results import Batch
from scalesync.scale.listing import BlockingListing


class Batches(Blocking):
    """`scalesync.scale.methods.batches.Batches` without async."""

    def create_batch(
        self,
        project: str,
        batch_name: str,
        *,
        callback: str | None = None,
        calibration_batch: bool | None = None,
        self_label_batch: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Batch:
        """Create a batch."""
        found: Batch = self._own(
            self._client.create_batch(
                project,
                batch_name,
                callback=callback,
                calibration_batch=calibration_batch,
                self_label_batch=self_label_batch,
                metadata=metadata,
            )
        )
        return found

    def get_batch(self, batch_name: str) -> Batch:
        """Show one batch."""
        found: Batch = self._own(self._client.get_batch(batch_name))
        return found

    def get_batches(
        self,
        *,
        project_name: str | None = None,
        batch_status: str | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        completed_after: str | datetime | None = None,
        completed_before: str | datetime | None = None,
        audited_after: str | datetime | None = None,
        audited_before: str | datetime | None = None,
        exclude_archived: bool | None = None,
        detailed: bool | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockingListing[Batch]:
        """List batches, newest first."""
        return self._listed(
            self._client.get_batches(
                project_name=project_name,
                batch_status=batch_status,
                created_after=created_after,
                created_before=created_before,
                completed_after=completed_after,
                completed_before=completed_before,
                audited_after=audited_after,
                audited_before=audited_before,
                exclude_archived=exclude_archived,
                detailed=detailed,
                page_size=page_size,
                limit=limit,
                cursor=cursor,
            )
        )

    def batch_status(self, batch_name: str) -> BatchStatus:
        """Count the tasks of a batch by status."""
        return self._wait(self._client.batch_status(batch_name))

    def finalize_batch(self, batch_name: str) -> Batch:
        """Say that a batch has all its tasks."""
        found: Batch = self._own(self._client.finalize_batch(batch_name))
        return found

    def set_batch_metadata(self, batch_name: str, metadata: Mapping[str, Any]) -> Batch:
        """Replace the metadata of a batch."""
        found: Batch = self._own(self._client.set_batch_metadata(batch_name, metadata))
        return found

    def prioritize_batch(self, batch_name: str, priority: int) -> Any:
        """Set the priority of a batch's tasks that nobody has begun."""
        return self._wait(self._client.prioritize_batch(batch_name, priority))
