"""Calls about batches, as methods."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scalesync.platforms.scale.api.objects import BatchStatus
from scalesync.scale.base import Base
from scalesync.scale.listing import Listing
from scalesync.scale.methods.results import Batch


class Batches(Base):
    """Calls about batches."""

    async def create_batch(
        self,
        project: str,
        batch_name: str,
        *,
        callback: str | None = None,
        calibration_batch: bool | None = None,
        self_label_batch: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Batch:
        """Create a batch.

        project: the project of its tasks.
        batch_name: a name that no other batch of the account has.
        callback: a URL or an address of e-mail that hears when the batch is done.
        calibration_batch: for calibration; self-serve projects alone have it.
        self_label_batch: for your own people; self-serve projects alone have it.
        metadata: what you want to keep with it.
        """
        return await self._object(
            "create_batch",
            Batch,
            {
                "project": project,
                "batch_name": batch_name,
                "callback": callback,
                "calibration_batch": calibration_batch,
                "self_label_batch": self_label_batch,
                "metadata": metadata,
            },
        )

    async def get_batch(self, batch_name: str) -> Batch:
        """Show one batch.

        batch_name: the name of the batch.
        """
        return await self._object("get_batch", Batch, {"batch_name": batch_name})

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
    ) -> Listing[Batch]:
        """List batches, newest first.

        project_name: only batches of this project.
        batch_status: only batches in this status: staging, in_progress, completed.
        created_after: created at this time or later.
        created_before: created at this time or earlier.
        completed_after: completed at this time or later.
        completed_before: completed at this time or earlier.
        audited_after: last audited at this time or later.
        audited_before: last audited at this time or earlier.
        exclude_archived: leave archived batches out.
        detailed: with progress.
        page_size: batches in one answer, at most 100.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "get_batches",
            Batch,
            {
                "project_name": project_name,
                "batch_status": batch_status,
                "created_after": created_after,
                "created_before": created_before,
                "completed_after": completed_after,
                "completed_before": completed_before,
                "audited_after": audited_after,
                "audited_before": audited_before,
                "exclude_archived": exclude_archived,
                "detailed": detailed,
                "page_size": page_size,
            },
            cursor,
            limit,
        )

    async def batch_status(self, batch_name: str) -> BatchStatus:
        """Count the tasks of a batch by status.

        batch_name: the name of the batch.
        """
        return await self._object("batch_status", BatchStatus, {"batch_name": batch_name})

    async def finalize_batch(self, batch_name: str) -> Batch:
        """Say that a batch has all its tasks.

        batch_name: the name of the batch.
        """
        return await self._object("finalize_batch", Batch, {"batch_name": batch_name})

    async def set_batch_metadata(self, batch_name: str, metadata: Mapping[str, Any]) -> Batch:
        """Replace the metadata of a batch.

        batch_name: the name of the batch.
        metadata: the whole new metadata.
        """
        return await self._object("set_batch_metadata", Batch, {"batch_name": batch_name, "metadata": metadata})

    async def prioritize_batch(self, batch_name: str, priority: int) -> Any:
        """Set the priority of a batch's tasks that nobody has begun.

        batch_name: the name of the batch.
        priority: 10, 20 or 30; tasks with the higher number come first.
        """
        return await self._value("prioritize_batch", {"batch_name": batch_name, "priority": priority})
