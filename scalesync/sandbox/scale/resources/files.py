"""Files: upload, import, and the bytes behind the link that a task's attachment resolves to.

Source: official SDK, Scale docs: File Endpoints, Technical Limits.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Form, Reply, Upload
from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.answers import results
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.resources.bodies import body_of, text_of
from scalesync.sandbox.scale.state.account import File
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import attachments
from scalesync.sandbox.scale.tasks.create import storable

MAX_METADATA = 8 * 1024
UNKNOWN = "application/octet-stream"


def upload(world: World, call: Call) -> Reply:
    """POST /files/upload: the part `file`, and the fields of `_make`. Raises ApiError 400, 404, 409, 413."""
    form = call.form or Form()
    sent = form.files.get("file")
    if form.too_large:
        most = world.config.max_file_bytes
        raise ApiError(world.config.file_too_large, f"The file is larger than {most} bytes.")
    if sent is None:
        raise bad('"file" is required')
    file = _make(world, dict(form.fields), _kind(sent), sent.size)
    file.name = str(form.fields.get("display_name") or sent.name)
    _make_room(world, sent.size)
    world.blobs.keep(file.id, sent)
    return _reply(world, file)


def import_file(world: World, call: Call) -> Reply:
    """POST /files/import `{"file_url", ...}`. The sandbox downloads nothing, so the file has no size and no bytes.

    A URL that `bad_attachments` selects answers 400 (guess).
    """
    body = body_of(call)
    url = text_of(body, "file_url")
    if not url.startswith(("http://", "https://", "s3://", "gs://")):
        raise bad('"file_url" must be a URL')
    if attachments.unreachable(world.config, url):
        raise ApiError(400, f"The file could not be downloaded: {url}")
    kind = mimetypes.guess_type(url.partition("?")[0])[0] or UNKNOWN
    file = _make(world, body, kind, 0)
    file.source = url
    file.name = str(body.get("display_name") or url.partition("?")[0].rpartition("/")[2])
    return _reply(world, file)


def _kind(sent: Upload) -> str:
    return sent.kind if sent.kind != UNKNOWN else mimetypes.guess_type(sent.name)[0] or UNKNOWN


def _make(world: World, given: dict[str, Any], kind: str, size: int) -> File:
    """The file of a request: project_name, reference_id (unique, else 409), metadata (JSON, as text or object)."""
    reference, project = given.get("reference_id"), given.get("project_name")
    if reference is not None and (not isinstance(reference, str) or not reference or not storable(reference)):
        raise bad('"reference_id" must be a string')
    if project is not None and project not in world.project_names:
        raise ApiError(world.config.unknown_parent_status, f'Project "{project}" not found.')
    if reference is not None and reference in world.account.references:
        other = world.account.references[reference]
        raise ApiError(409, f'The reference_id ("{reference}") is already used for a different file ({other}).')
    number = world.account.file_count
    return File(
        number=number,
        id=world.account.uuid("file", number),
        kind=kind,
        size=size,
        created_ms=world.now(),
        reference=reference,
        projects=[project] if project is not None else [],
        metadata=_metadata(given.get("metadata")),
    )


def _metadata(value: object) -> bytes | None:
    if value is None:
        return None
    try:
        found = loads(value.encode()) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise bad('"metadata" must be a JSON object')
    raw = dumps(found)
    if len(raw) > MAX_METADATA:
        raise bad(f'"metadata" must not be larger than {MAX_METADATA // 1024} KB')
    return raw


def _make_room(world: World, size: int) -> None:
    """Forget the oldest files that no task names until `size` fits. Raises ApiError 413 if it never does."""
    account, most = world.account, world.config.file_total_bytes
    held = sum(file.size for file in account.files.values())
    unused = [file for file in account.files.values() if not file.used]
    if held - sum(file.size for file in unused) + size > most:
        raise ApiError(413, f"The files of this account would take more than {most} bytes.")
    for file in unused:
        if held + size <= most:
            return
        held -= file.size
        file.gone = True
        account.put_file(file)
        world.blobs.drop(file.id)


def _reply(world: World, file: File) -> Reply:
    world.account.put_file(file)
    return Reply(body=render(world, file))


def render(world: World, file: File) -> bytes:
    """`id, attachment_url, mime_type, project_names, size, created_at, updated_at`, and what the request named."""
    created = iso(file.created_ms)
    document: dict[str, Any] = {
        "id": file.id,
        "attachment_url": attachments.address(world, file),
        "mime_type": file.kind,
        "project_names": file.projects,
        "size": file.size,
        "display_name": file.name,
        "created_at": created,
        "updated_at": created,
    }
    if file.reference is not None:
        document["reference_id"] = file.reference
    if file.metadata is not None:
        document["metadata"] = loads(file.metadata)
    return dumps(document)


def fetch(worlds: Iterable[World], call: Call) -> Reply:
    """GET /files/{id}, without a key: the bytes; for an import a redirect to its URL. Errors are XML, as S3's."""
    for world in worlds:
        file = world.account.files.get(call.path[-1])
        if file is None:
            continue
        if not results.valid(world, call):
            return results.denied(403, "AccessDenied", "Request has expired")
        if file.source:
            return Reply(302, kind=file.kind, headers={"Location": file.source})
        pieces = world.blobs.read(file.id)
        if pieces is not None:
            return Reply(kind=file.kind, headers={"Content-Length": str(file.size)}, stream=pieces)
    return results.denied(404, "NoSuchKey", "The specified key does not exist.")
