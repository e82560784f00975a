"""Results whose methods make calls."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from scalesync.platforms.scale.api import objects
from scalesync.platforms.scale.api.objects import BatchStatus, TaskTemplate
from scalesync.scale.bound import Bound


class Task(Bound, objects.Task):
    """A task of version 1."""

    async def refresh(self) -> Self:
        """Show one task."""
        return self._hold(await self._client.get_task(task_id=self.task_id))

    async def cancel(self, *, clear_unique_id: bool | None = None) -> Self:
        """Cancel a task that nobody has begun.

        clear_unique_id: let another task have its unique_id.
        """
        return self._hold(await self._client.cancel_task(task_id=self.task_id, clear_unique_id=clear_unique_id))

    async def audit(self, accepted: bool, comments: str | None = None) -> Any:
        """Accept or reject a completed task.

        accepted: accept it, or reject it.
        comments: what the annotators should know.
        """
        found: Any = await self._client.audit_task(task_id=self.task_id, accepted=accepted, comments=comments)
        return found

    async def update_unique_id(self, unique_id: str) -> Self:
        """Give a task another unique_id.

        unique_id: a name that no other task of the account has.
        """
        return self._hold(await self._client.update_task_unique_id(task_id=self.task_id, unique_id=unique_id))

    async def clear_unique_id(self) -> Self:
        """Take the unique_id off a task."""
        return self._hold(await self._client.clear_task_unique_id(task_id=self.task_id))

    async def set_metadata(self, metadata: Mapping[str, Any]) -> Self:
        """Replace the metadata of a task.

        metadata: the whole new metadata.
        """
        return self._hold(await self._client.set_task_metadata(task_id=self.task_id, metadata=metadata))

    async def set_tags(self, tags: str | Sequence[str]) -> Self:
        """Replace the tags of a task.

        tags: the tags.
        """
        return self._hold(await self._client.set_task_tags(task_id=self.task_id, tags=tags))

    async def add_tags(self, tags: str | Sequence[str]) -> Self:
        """Add tags to a task.

        tags: the tags.
        """
        return self._hold(await self._client.add_task_tags(task_id=self.task_id, tags=tags))

    async def delete_tags(self, tags: str | Sequence[str]) -> Self:
        """Remove tags from a task.

        tags: the tags.
        """
        return self._hold(await self._client.delete_task_tags(task_id=self.task_id, tags=tags))

    async def send_callback(self) -> Any:
        """Call the task's callback again."""
        found: Any = await self._client.send_callback(task_id=self.task_id)
        return found


class Batch(Bound, objects.Batch):
    """A batch of version 1."""

    async def get_status(self) -> BatchStatus:
        """Count the tasks of a batch by status."""
        found: BatchStatus = await self._client.batch_status(batch_name=self.name)
        return found

    async def finalize(self) -> Self:
        """Say that a batch has all its tasks."""
        return self._hold(await self._client.finalize_batch(batch_name=self.name))


class Project(Bound, objects.Project):
    """A project of version 1. param_history: all versions of its parameters, the last one counts."""

    async def get_template(self) -> TaskTemplate:
        """Show the template of a chat or text project."""
        found: TaskTemplate = await self._client.get_project_template(project_name=self.name)
        return found


class Teammate(Bound, objects.Teammate):
    """Somebody of the account."""

    async def update_teammate_role(self, role: Literal["labeler", "member", "manager"]) -> list[Teammate]:
        """Change the role of people.

        role: their role: labeler, member, manager.
        """
        found: list[Teammate] = await self._client.update_teammates_role(emails=[self.email], role=role)
        return found
