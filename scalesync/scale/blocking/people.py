"""The methods of `scalesync.scale.methods.people` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from scalesync.platforms.scale.api.objects import Assignments, FixlessAudit, Group, StudioBatch
from scalesync.scale.base import Blocking
from scalesync.scale.blocking.results import Teammate


class People(Blocking):
    """`scalesync.scale.methods.people.People` without async."""

    def list_teammates(self) -> list[Teammate]:
        """List the people of the account."""
        found: list[Teammate] = self._own(self._client.list_teammates())
        return found

    def invite_teammates(
        self, emails: str | Sequence[str], role: Literal["labeler", "member", "manager"]
    ) -> list[Teammate]:
        """Invite people by e-mail."""
        found: list[Teammate] = self._own(self._client.invite_teammates(emails, role))
        return found

    def update_teammates_role(
        self, emails: str | Sequence[str], role: Literal["labeler", "member", "manager"]
    ) -> list[Teammate]:
        """Change the role of people."""
        found: list[Teammate] = self._own(self._client.update_teammates_role(emails, role))
        return found

    def list_studio_assignments(self) -> Assignments:
        """Show who works on which projects."""
        return self._wait(self._client.list_studio_assignments())

    def add_studio_assignments(self, emails: str | Sequence[str], projects: str | Sequence[str]) -> Assignments:
        """Let people work on projects."""
        return self._wait(self._client.add_studio_assignments(emails, projects))

    def remove_studio_assignments(self, emails: str | Sequence[str], projects: str | Sequence[str]) -> Assignments:
        """Take people off projects."""
        return self._wait(self._client.remove_studio_assignments(emails, projects))

    def list_project_groups(self, project: str) -> list[Group]:
        """List the groups of a project."""
        return self._wait(self._client.list_project_groups(project))

    def create_project_group(self, project: str, emails: str | Sequence[str], project_group: str) -> Group:
        """Create a group of people."""
        return self._wait(self._client.create_project_group(project, emails, project_group))

    def update_project_group(
        self, project: str, project_group: str, add_emails: str | Sequence[str], remove_emails: str | Sequence[str]
    ) -> Group:
        """Add people to a group, or remove them."""
        return self._wait(self._client.update_project_group(project, project_group, add_emails, remove_emails))

    def list_studio_batches(self) -> list[StudioBatch]:
        """List pending batches in their order."""
        return self._wait(self._client.list_studio_batches())

    def assign_studio_batches(self, batch_name: str, project_groups: str | Sequence[str]) -> StudioBatch:
        """Set the groups that work on a batch."""
        return self._wait(self._client.assign_studio_batches(batch_name, project_groups))

    def set_studio_batches_priorities(self, batch_names: str | Sequence[str]) -> list[StudioBatch]:
        """Set the order of all pending batches."""
        return self._wait(self._client.set_studio_batches_priorities(batch_names))

    def reset_studio_batches_priorities(self) -> list[StudioBatch]:
        """Let the service order pending batches."""
        return self._wait(self._client.reset_studio_batches_priorities())

    def create_fixless_audit(self, audit: Mapping[str, Any]) -> FixlessAudit:
        """Record an audit that changes no answer."""
        return self._wait(self._client.create_fixless_audit(audit))
