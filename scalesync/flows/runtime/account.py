"""Names that a person typed into an export: project, batch, type and fields, compared with the account.

A misspelt name matches no task, and an export of no task would succeed. So if the filters match nothing, their names
are checked before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from urllib.parse import urlsplit

from scalesync.errors import ConfigError, NoSuchProject, Refused, RemoteError
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.outputs.fields import FieldPicker, members_of
from scalesync.text import count, did_you_mean, nearest

LISTED = 20  # names that a sentence shows


def wrong_root(error: Refused, connection: Connection) -> str | None:
    """The sentence about an address that finds nothing and is not the API's root; None for others."""
    address = connection.transport.base_url
    spec = connection.platform.spec
    path = urlsplit(spec.root_like).path
    # Below the root of another version there may be something that refuses the request for another reason.
    if address.endswith(path) or (error.status != 404 and not re.search("/v[0-9]+$", address)):
        return None
    return f"the API address is the {spec.root}: did you mean {re.sub('/v[0-9]+$', '', address)}{path}?"


async def check_names(connection: Connection, asked: Selection, *, increment: bool, found: bool) -> None:
    """Whether the account has the names in the filters.

    found: the server lists tasks for them.
    increment: the server is not asked for the batch.

    Raises NoSuchProject or ConfigError with the nearest name of the account. If tasks are listed, only the batch of an
    increment is looked up, because the server was not asked for that one name.
    """
    if asked.batch and (increment or not found):
        await _check_batch(connection, asked.batch, asked.project)
    if found:
        return
    if asked.project:
        await _check_project(connection, asked.project, asked.type)
    if asked.type:
        await _check_type(connection, asked.type)


async def _check_project(connection: Connection, name: str, kind: str | None) -> None:
    project = await connection.call(partial(connection.containers.project, name))
    if project is None:
        raise await no_such_project(connection, name)
    theirs = project.get("type")
    if kind and theirs not in {kind, None}:
        raise ConfigError(f"project {name!r} takes tasks of type {theirs}, not {kind}; correct --type or --project")


async def no_such_project(connection: Connection, name: str) -> NoSuchProject:
    """The error for a project that the account does not have, with the nearest name or the existing ones."""
    await _check_root(connection, f"there is no project {name!r} at this address")
    names = [str(other.get("name")) for other in await _projects(connection)]
    near = did_you_mean(name, names) or _shown("its projects are", names)
    return NoSuchProject(f"there is no project {name!r} in this account; correct --project{near}")


async def note_unknown_type(connection: Connection, name: str, note: Callable[[str], None]) -> None:
    """Say that neither the documentation nor a project of the account has a type: the server decides."""
    documented = connection.platform.spec.known_types
    if name in documented:
        return
    kinds = {str(project["type"]) for project in await _projects(connection) if project.get("type")}
    if name not in kinds:
        near = did_you_mean(name, kinds | documented)
        note(f"no project of this account and no documentation has a type {name!r}{near}; the platform may refuse it")


async def _check_batch(connection: Connection, name: str, project: str | None) -> None:
    batch = await connection.call(partial(connection.containers.batch, name))
    if batch is None:
        await _check_root(connection, f"there is no batch {name!r} at this address")
        near = did_you_mean(name, await _batch_names(connection, project))
        raise ConfigError(f"there is no batch {name!r} in this account; correct --batch{near}")
    theirs = batch.get("project")
    if project and theirs not in {project, None}:
        raise ConfigError(f"batch {name!r} belongs to project {theirs!r}, not to {project!r}")


async def _check_type(connection: Connection, name: str) -> None:
    """Raise ConfigError for an unknown type: no task, no project and no documentation has it."""
    documented = connection.platform.spec.known_types
    if name in documented:
        return
    kinds = {str(project["type"]) for project in await _projects(connection) if project.get("type")}
    if name not in kinds:
        near = did_you_mean(name, kinds | documented)
        raise ConfigError(f"no task and no project of this account is of type {name!r}; correct --type{near}")


async def _check_root(connection: Connection, what: str) -> None:
    """Raise ConfigError if the address has no list of projects either, because it is not the API's root."""
    try:
        await connection.containers.projects()
    except Refused as error:
        hint = wrong_root(error, connection)
        if hint is not None:
            raise ConfigError(f"{what}; {hint}") from None
    except RemoteError:
        pass  # what is asked next says so


async def _projects(connection: Connection) -> Sequence[JsonObject]:
    """The projects that the account lists."""
    try:
        return await connection.containers.projects()
    except RemoteError:
        return ()


async def _batch_names(connection: Connection, project: str | None) -> Sequence[str]:
    try:
        return await connection.containers.batch_names(project)
    except RemoteError:
        return ()


def _shown(introduction: str, names: Collection[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return f"; {introduction} {', '.join(sorted(names)[:LISTED])}{more}"


def check_fields(
    fields: Sequence[str], documents: Sequence[bytes], documented: Collection[str], note: Callable[[str], None]
) -> None:
    """Whether tasks have the fields that --fields names.

    documents: the first tasks of the export.

    Raises ConfigError for a field that neither these tasks nor the documentation have. A field inside another one, such
    as params.x, may be there in other tasks: then a note says that these lack it.
    """
    if not documents:
        return
    tops = set().union(*(members_of(document) for document in documents))
    known = tops | set(documented)
    for name in fields:
        top, _, inside = name.partition(".")
        if top not in known:
            near = did_you_mean(top, known) or _shown("they have", tops)
            raise ConfigError(
                f"--fields: none of the first {count(len(documents), 'task')} has the field {top!r}; correct it{near}"
            )
        if inside and all(FieldPicker(name).pick(document) == b"{}" for document in documents):
            near = _near(name, documents)
            note(f"none of the first {count(len(documents), 'task')} has {name}, which --fields names{near}")


def _near(name: str, documents: Iterable[bytes]) -> str:
    """The nearest field to the missing one."""
    way, _, last = name.rpartition(".")
    beside: set[str] = set()
    picker = FieldPicker(way)
    for document in documents:
        value: bytes = picker.pick(document)
        for _ in way.split("."):
            value = next((bytes(inner) for inner in members_of(value).values()), b"{}")
        if value.lstrip()[:1] == b"{":
            beside |= set(members_of(value))
    found = nearest(last, beside)
    return "" if found is None else f"; did you mean {way}.{found}?"
