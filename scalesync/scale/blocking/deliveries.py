"""The methods of `scalesync.scale.methods.deliveries` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from scalesync.platforms.scale.api.objects import (
    V2Dataset,
    V2DatasetDelivery,
    V2DatasetTask,
    V2DeliveredTask,
    V2Delivery,
    V2Task,
)
from scalesync.scale.base import Blocking
from scalesync.scale.listing import BlockingListing


class Deliveries(Blocking):
    """`scalesync.scale.methods.deliveries.Deliveries` without async."""

    def v2_get_deliveries(
        self,
        *,
        project_id: str | None = None,
        project_name: str | None = None,
        delivered_after: str | datetime | None = None,
        delivered_before: str | datetime | None = None,
        expand: str | Sequence[str] | None = None,
    ) -> list[V2Delivery]:
        """List the deliveries of a project."""
        return self._wait(
            self._client.v2_get_deliveries(
                project_id=project_id,
                project_name=project_name,
                delivered_after=delivered_after,
                delivered_before=delivered_before,
                expand=expand,
            )
        )

    def v2_get_delivery(
        self,
        *,
        delivery_id: str | None = None,
        delivery_name: str | None = None,
        project_id: str | None = None,
        project_name: str | None = None,
        page_size: int | None = None,
        expand: str | Sequence[str] | None = None,
        opts: str | Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockingListing[V2Task]:
        """List the tasks of one delivery."""
        return self._listed(
            self._client.v2_get_delivery(
                delivery_id=delivery_id,
                delivery_name=delivery_name,
                project_id=project_id,
                project_name=project_name,
                page_size=page_size,
                expand=expand,
                opts=opts,
                limit=limit,
                cursor=cursor,
            )
        )

    def v2_get_delivery_tasks(
        self,
        *,
        delivery_id: str | None = None,
        project_id: str | None = None,
        project_name: str | None = None,
        status: str | None = None,
        completed_after: str | datetime | None = None,
        completed_before: str | datetime | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockingListing[V2DeliveredTask]:
        """List answers of a project, delivered or not."""
        return self._listed(
            self._client.v2_get_delivery_tasks(
                delivery_id=delivery_id,
                project_id=project_id,
                project_name=project_name,
                status=status,
                completed_after=completed_after,
                completed_before=completed_before,
                page_size=page_size,
                limit=limit,
                cursor=cursor,
            )
        )

    def v2_get_datasets(self) -> list[V2Dataset]:
        """List datasets."""
        return self._wait(self._client.v2_get_datasets())

    def v2_get_dataset_deliveries(
        self,
        *,
        dataset_id: str | None = None,
        delivered_after: str | datetime | None = None,
        delivered_before: str | datetime | None = None,
        expand: str | Sequence[str] | None = None,
    ) -> list[V2DatasetDelivery]:
        """List the deliveries of a dataset."""
        return self._wait(
            self._client.v2_get_dataset_deliveries(
                dataset_id=dataset_id, delivered_after=delivered_after, delivered_before=delivered_before, expand=expand
            )
        )

    def v2_get_dataset_delivery(
        self,
        delivery_id: str,
        *,
        page_size: int | None = None,
        expand: str | Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockingListing[V2DatasetTask]:
        """List the tasks of one delivery of a dataset."""
        return self._listed(
            self._client.v2_get_dataset_delivery(
                delivery_id, page_size=page_size, expand=expand, limit=limit, cursor=cursor
            )
        )

    def v2_get_dataset_tasks(
        self,
        *,
        dataset_id: str | None = None,
        delivery_id: str | None = None,
        delivered_after: str | datetime | None = None,
        delivered_before: str | datetime | None = None,
        page_size: int | None = None,
        expand: str | Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> BlockingListing[V2DatasetTask]:
        """List the tasks of a dataset or delivery."""
        return self._listed(
            self._client.v2_get_dataset_tasks(
                dataset_id=dataset_id,
                delivery_id=delivery_id,
                delivered_after=delivered_after,
                delivered_before=delivered_before,
                page_size=page_size,
                expand=expand,
                limit=limit,
                cursor=cursor,
            )
        )

    def v2_get_dataset_task(self, task_id: str, *, expand: str | Sequence[str] | None = None) -> V2DatasetTask:
        """Show one task of a dataset."""
        return self._wait(self._client.v2_get_dataset_task(task_id, expand=expand))

    def v2_get_dataset_task_response_url(self, task_id: str, attachment_id: str) -> str:
        """Show where an attachment of an answer is."""
        return self._wait(self._client.v2_get_dataset_task_response_url(task_id, attachment_id))
