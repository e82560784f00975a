"""Calls about deliveries and datasets (version 2), as methods."""

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
from scalesync.scale.base import Base
from scalesync.scale.listing import Listing


class Deliveries(Base):
    """Calls about deliveries and datasets (version 2)."""

    async def v2_get_deliveries(
        self,
        *,
        project_id: str | None = None,
        project_name: str | None = None,
        delivered_after: str | datetime | None = None,
        delivered_before: str | datetime | None = None,
        expand: str | Sequence[str] | None = None,
    ) -> list[V2Delivery]:
        """List the deliveries of a project.

        project_id: the id of the project.
        project_name: the name of the project.
        delivered_after: delivered after this time.
        delivered_before: delivered before this time.
        expand: objects to show instead of their ids, such as project.
        """
        return await self._objects(
            "v2_get_deliveries",
            V2Delivery,
            {
                "project_id": project_id,
                "project_name": project_name,
                "delivered_after": delivered_after,
                "delivered_before": delivered_before,
                "expand": expand,
            },
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
    ) -> Listing[V2Task]:
        """List the tasks of one delivery.

        delivery_id: the id of the delivery.
        delivery_name: its name, with its project.
        project_id: the id of the project.
        project_name: the name of the project.
        page_size: how many in one answer, at most 100.
        expand: objects to show instead of their ids, such as project.
        opts: what else to show: annotation_details, attachment_details, model_parameters, submissions.
        Give delivery_id or delivery_name.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "v2_get_delivery",
            V2Task,
            {
                "delivery_id": delivery_id,
                "delivery_name": delivery_name,
                "project_id": project_id,
                "project_name": project_name,
                "page_size": page_size,
                "expand": expand,
                "opts": opts,
            },
            cursor,
            limit,
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
    ) -> Listing[V2DeliveredTask]:
        """List answers of a project, delivered or not.

        delivery_id: only those of this delivery.
        project_id: the id of the project.
        project_name: the name of the project.
        status: only tasks in this status.
        completed_after: completed after this time.
        completed_before: completed before this time.
        page_size: how many in one answer, at most 100.
        Give project_id or project_name.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "v2_get_delivery_tasks",
            V2DeliveredTask,
            {
                "delivery_id": delivery_id,
                "project_id": project_id,
                "project_name": project_name,
                "status": status,
                "completed_after": completed_after,
                "completed_before": completed_before,
                "page_size": page_size,
            },
            cursor,
            limit,
        )

    async def v2_get_datasets(self) -> list[V2Dataset]:
        """List datasets."""
        return await self._objects("v2_get_datasets", V2Dataset, {})

    async def v2_get_dataset_deliveries(
        self,
        *,
        dataset_id: str | None = None,
        delivered_after: str | datetime | None = None,
        delivered_before: str | datetime | None = None,
        expand: str | Sequence[str] | None = None,
    ) -> list[V2DatasetDelivery]:
        """List the deliveries of a dataset.

        dataset_id: the id of the dataset.
        delivered_after: delivered after this time.
        delivered_before: delivered before this time.
        expand: objects to show instead of their ids, such as project.
        """
        return await self._objects(
            "v2_get_dataset_deliveries",
            V2DatasetDelivery,
            {
                "dataset_id": dataset_id,
                "delivered_after": delivered_after,
                "delivered_before": delivered_before,
                "expand": expand,
            },
        )

    def v2_get_dataset_delivery(
        self,
        delivery_id: str,
        *,
        page_size: int | None = None,
        expand: str | Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[V2DatasetTask]:
        """List the tasks of one delivery of a dataset.

        delivery_id: the id of the delivery.
        page_size: how many in one answer, at most 100.
        expand: objects to show instead of their ids, such as project.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "v2_get_dataset_delivery",
            V2DatasetTask,
            {"delivery_id": delivery_id, "page_size": page_size, "expand": expand},
            cursor,
            limit,
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
    ) -> Listing[V2DatasetTask]:
        """List the tasks of a dataset or delivery.

        dataset_id: the id of the dataset.
        delivery_id: the id of the delivery.
        delivered_after: delivered after this time.
        delivered_before: delivered before this time.
        page_size: how many in one answer, at most 100.
        expand: objects to show instead of their ids, such as project.
        Give dataset_id or delivery_id.
        limit: how many in all.
        cursor: of an earlier list with the same filters, to continue there.
        """
        return self._listing(
            "v2_get_dataset_tasks",
            V2DatasetTask,
            {
                "dataset_id": dataset_id,
                "delivery_id": delivery_id,
                "delivered_after": delivered_after,
                "delivered_before": delivered_before,
                "page_size": page_size,
                "expand": expand,
            },
            cursor,
            limit,
        )

    async def v2_get_dataset_task(self, task_id: str, *, expand: str | Sequence[str] | None = None) -> V2DatasetTask:
        """Show one task of a dataset.

        task_id: the id of the task.
        expand: objects to show instead of their ids, such as project.
        """
        return await self._object("v2_get_dataset_task", V2DatasetTask, {"task_id": task_id, "expand": expand})

    async def v2_get_dataset_task_response_url(self, task_id: str, attachment_id: str) -> str:
        """Show where an attachment of an answer is.

        task_id: the id of the task.
        attachment_id: the id of the attachment.
        """
        return str(
            await self._value("v2_get_dataset_task_response_url", {"task_id": task_id, "attachment_id": attachment_id})
        )
