"""Results whose methods make calls without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from scalesync.platforms.scale.api import objects
from scalesync.platforms.scale.api.objects import BatchStatus, TaskTemplate
from scalesync.scale.bound import Bound


class Task(Bound, objects.Task):
    """A task of version 1."""

    def refresh(self) -> Self:
        """Show one task."""
        return self._hold(self._client.get_task(task_id=self.task_id))

    def cancel(self, *, clear_unique_id: bool | None = None) -> Self:
        """Cancel a task that nobody has begun.

        clear_unique_id: let another task have its unique_id.
        """
        return self._hold(self._client.cancel_task(task_id=self.task_id, clear_unique_id=clear_unique_id))

    def audit(self, accepted: bool, comments: str | None = None) -> Any:
        """Accept or reject a completed task.

        accepted: accept it, or reject it.
        comments: what the annotators should know.
        """
        found: Any = self._client.audit_task(task_id=self.task_id, accepted=accepted, comments=comments)
        return found

    def update_unique_id(self, unique_id: str) -> Self:
        """Give a task another unique_id.

        unique_id: a name that no other task of the account has.
        """
        return self._hold(self._client.update_task_unique_id(task_id=self.task_id, unique_id=unique_id))

    def clear_unique_id(self) -> Self:
        """Take the unique_id off a task."""
        return self._hold(self._client.clear_task_unique_id(task_id=self.task_id))

    def set_metadata(self, metadata: Mapping[str, Any]) -> Self:
        """Replace the metadata of a task.

        metadata: the whole new metadata.
        """
        return self._hold(self._client.set_task_metadata(task_id=self.task_id, metadata=metadata))

    def set_tags(self, tags: str | Sequence[str]) -> Self:
        """Replace the tags of a task.

        tags: the tags.
        """
        return self._hold(self._client.set_task_tags(task_id=self.task_id, tags=tags))

    def add_tags(self, tags: str | Sequence[str]) -> Self:
        """Add tags to a task.

        tags: the tags.
        """
        return self._hold(self._client.add_task_tags(task_id=self.task_id, tags=tags))

    def delete_tags(self, tags: str | Sequence[str]) -> Self:
        """Remove tags from a task.

        tags: the tags.
        """
        return self._hold(self._client.delete_task_tags(task_id=self.task_id, tags=tags))

    def send_callback(self) -> Any:
        """Call the task's callback again."""
        found: Any = self._client.send_callback(task_id=self.task_id)
        return found


class Batch(Bound, objects.Batch):
    """A batch of version 1."""

    def get_status(self) -> BatchStatus:
        """Count the tasks of a batch by status."""
        found: BatchStatus = self._client.batch_status(batch_name=self.name)
        return found

    def finalize(self) -> Self:
        """Say that a batch has all its tasks."""
        return self._hold(self._client.finalize_batch(batch_name=self.name))


class Project(Bound, objects.Project):
    """A project of version 1. param_history: all versions of its parameters, the last one counts."""

    def get_template(self) -> TaskTemplate:
        """Show the template of a chat or text project."""
        found: TaskTemplate = self._client.get_project_template(project_name=self.name)
        return found


class Teammate(Bound, objects.Teammate):
    """Somebody of the account."""

    def update_teammate_role(self, role: Literal["labeler", "member", "manager"]) -> list[Teammate]:
        """Change the role of people.

        role: their role: labeler, member, manager.
        """
        found: list[Teammate] = self._client.update_teammates_role(emails=[self.email], role=role)
        return found


CLASSES: dict[str, type[Bound]] = {"Task": Task, "Batch": Batch, "Project": Project, "Teammate": Teammate}
