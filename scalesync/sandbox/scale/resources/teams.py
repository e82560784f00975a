"""The team: list, invite, set_role. Source: official SDK, Node SDK.

The account begins with its owner, who is an admin. E-mails are compared without regard to case (guess).
"""

from __future__ import annotations

import re
from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.resources.bodies import body_of, texts_of
from scalesync.sandbox.scale.state.account import Teammate
from scalesync.sandbox.scale.state.world import World

OWNER = "owner@example.com"
ADMIN, LABELER = "admin", "labeler"
ROLES = (LABELER, "member", "manager")  # that a call may give
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def list_teammates(world: World, _: Call) -> Reply:
    """GET /teams: a bare array."""
    return _all(world)


def invite(world: World, call: Call) -> Reply:
    """POST /teams/invite `{"emails", "team_role"}`. Somebody who is in the team keeps the role (guess)."""
    emails, role = _asked(call)
    wrong = next((email for email in emails if not _EMAIL.fullmatch(email)), None)
    if wrong is not None:
        raise bad(f'"{wrong}" is not an e-mail address')
    for email in emails:
        if email.lower() not in people(world):
            world.account.put_teammate(Teammate(len(world.account.teammates), email, role))
    return _all(world)


def set_role(world: World, call: Call) -> Reply:
    """POST /teams/set_role `{"emails", "team_role"}`: for all of them, or for none."""
    emails, role = _asked(call)
    found = [member(world, email) for email in emails]
    if any(person.role == ADMIN for person in found):
        raise ApiError(400, "The role of an admin cannot be changed.")
    for person in found:
        person.role = role
        world.account.put_teammate(person)
    return _all(world)


def _asked(call: Call) -> tuple[list[str], str]:
    body = body_of(call)
    role = body.get("team_role")
    if role not in ROLES:
        raise bad(f'"team_role" must be one of [{", ".join(ROLES)}]')
    return texts_of(body, "emails"), str(role)


def people(world: World) -> dict[str, Teammate]:
    """Everybody of the team, by e-mail in lower case."""
    account = world.account
    if not account.teammates:
        account.put_teammate(Teammate(0, OWNER, ADMIN))
    return account.teammates


def member(world: World, email: str) -> Teammate:
    """A person of the team. Raises ApiError 400 for somebody else (guess)."""
    person = people(world).get(email.lower())
    if person is None:
        raise bad(f'"{email}" is not a member of the team')
    return person


def _all(world: World) -> Reply:
    return ok([_render(person) for person in people(world).values()])


def _render(person: Teammate) -> dict[str, Any]:
    return {"email": person.email, "role": person.role, "isStudioLabeler": person.role == LABELER}
