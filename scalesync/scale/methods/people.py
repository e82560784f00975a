"""Calls about teammates, the Studio, and audits, as methods."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from scalesync.platforms.scale.api.objects import Assignments, FixlessAudit, Group, StudioBatch
from scalesync.scale.base import Base
from scalesync.scale.methods.results import Teammate


class People(Base):
    """Calls about teammates, the Studio, and audits."""

    async def list_teammates(self) -> list[Teammate]:
        """List the people of the account."""
        return await self._objects("list_teammates", Teammate, {})

    async def invite_teammates(
        self, emails: str | Sequence[str], role: Literal["labeler", "member", "manager"]
    ) -> list[Teammate]:
        """Invite people by e-mail.

        emails: their addresses.
        role: their role: labeler, member, manager.
        """
        return await self._objects("invite_teammates", Teammate, {"emails": emails, "role": role})

    async def update_teammates_role(
        self, emails: str | Sequence[str], role: Literal["labeler", "member", "manager"]
    ) -> list[Teammate]:
        """Change the role of people.

        emails: their addresses.
        role: their role: labeler, member, manager.
        """
        return await self._objects("update_teammates_role", Teammate, {"emails": emails, "role": role})

    async def list_studio_assignments(self) -> Assignments:
        """Show who works on which projects."""
        return await self._object("list_studio_assignments", Assignments, {})

    async def add_studio_assignments(self, emails: str | Sequence[str], projects: str | Sequence[str]) -> Assignments:
        """Let people work on projects.

        emails: their addresses.
        projects: the names of the projects.
        """
        return await self._object("add_studio_assignments", Assignments, {"emails": emails, "projects": projects})

    async def remove_studio_assignments(
        self, emails: str | Sequence[str], projects: str | Sequence[str]
    ) -> Assignments:
        """Take people off projects.

        emails: their addresses.
        projects: the names of the projects.
        """
        return await self._object("remove_studio_assignments", Assignments, {"emails": emails, "projects": projects})

    async def list_project_groups(self, project: str) -> list[Group]:
        """List the groups of a project.

        project: the name of the project.
        """
        return await self._objects("list_project_groups", Group, {"project": project})

    async def create_project_group(self, project: str, emails: str | Sequence[str], project_group: str) -> Group:
        """Create a group of people.

        project: the name of the project.
        emails: their addresses.
        project_group: the name of the group.
        """
        return await self._object(
            "create_project_group", Group, {"project": project, "emails": emails, "project_group": project_group}
        )

    async def update_project_group(
        self, project: str, project_group: str, add_emails: str | Sequence[str], remove_emails: str | Sequence[str]
    ) -> Group:
        """Add people to a group, or remove them.

        project: the name of the project.
        project_group: the name of the group.
        add_emails: who comes.
        remove_emails: who goes.
        """
        return await self._object(
            "update_project_group",
            Group,
            {
                "project": project,
                "project_group": project_group,
                "add_emails": add_emails,
                "remove_emails": remove_emails,
            },
        )

    async def list_studio_batches(self) -> list[StudioBatch]:
        """List pending batches in their order."""
        return await self._objects("list_studio_batches", StudioBatch, {})

    async def assign_studio_batches(self, batch_name: str, project_groups: str | Sequence[str]) -> StudioBatch:
        """Set the groups that work on a batch.

        batch_name: the name of the batch.
        project_groups: all its groups; an address stands for one person.
        """
        return await self._object(
            "assign_studio_batches", StudioBatch, {"batch_name": batch_name, "project_groups": project_groups}
        )

    async def set_studio_batches_priorities(self, batch_names: str | Sequence[str]) -> list[StudioBatch]:
        """Set the order of all pending batches.

        batch_names: all pending batches, the first comes first.
        """
        return await self._objects("set_studio_batches_priorities", StudioBatch, {"batch_names": batch_names})

    async def reset_studio_batches_priorities(self) -> list[StudioBatch]:
        """Let the service order pending batches."""
        return await self._objects("reset_studio_batches_priorities", StudioBatch, {})

    async def create_fixless_audit(self, audit: Mapping[str, Any]) -> FixlessAudit:
        """Record an audit that changes no answer.

        audit: the audit, with its task_id.
        """
        return await self._object("create_fixless_audit", FixlessAudit, {"audit": audit})
