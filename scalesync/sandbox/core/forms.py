"""Requests in multipart/form-data: fields in memory, files on disk, so a large file costs no memory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from aiohttp import BodyPartReader, web

from scalesync.sandbox.core.wire.messages import Form, Upload

CHUNK = 256 * 1024
MAX_FIELD = 64 * 1024
MAX_PARTS = 32
KIND = "multipart/form-data"
NAMELESS = "application/octet-stream"


class BadForm(Exception):
    """The server cannot read the body as a form."""


async def read_form(request: web.BaseRequest, most: int) -> Form:
    """Read the whole form; the caller calls `discard` on it.

    most: bytes of one file. What is over it is read and thrown away, because a client that still sends would see a
    reset instead of the answer.
    Raises BadForm, and OSError if the disk is full.
    """
    form = Form()
    try:
        await _read(request, most, form)
    except web.HTTPRequestEntityTooLarge:
        form.too_large = True
    except (ValueError, AssertionError) as error:
        form.discard()
        raise BadForm(str(error)) from error
    except BaseException:
        form.discard()
        raise
    return form


async def _read(request: web.BaseRequest, most: int, form: Form) -> None:
    reader = await request.multipart()
    for _ in range(MAX_PARTS):
        part = await reader.next()
        if part is None:
            return
        if not isinstance(part, BodyPartReader) or not part.name:
            raise ValueError("a part has no name, or is a form itself")
        if part.filename is None:
            form.fields[part.name] = await _field(part)
        elif part.name in form.files:
            raise ValueError(f"two files are called {part.name!r}")
        else:
            form.files[part.name] = await _file(part, most, form)
    raise ValueError(f"more than {MAX_PARTS} parts")


async def _field(part: BodyPartReader) -> str:
    found = bytearray()
    while chunk := await part.read_chunk(CHUNK):
        found += chunk
        if len(found) > MAX_FIELD:
            raise ValueError(f"the field {part.name!r} is larger than {MAX_FIELD} bytes")
    return found.decode()


async def _file(part: BodyPartReader, most: int, form: Form) -> Upload:
    handle, path = tempfile.mkstemp(prefix="scalesync-upload-")
    kind = part.headers.get("Content-Type", "").partition(";")[0].strip()
    upload = Upload(part.filename or "", kind or NAMELESS, Path(path))
    try:
        with os.fdopen(handle, "wb") as file:
            while chunk := await part.read_chunk(CHUNK):
                upload.size += len(chunk)
                if upload.size <= most:
                    file.write(chunk)
                else:
                    form.too_large = True
    except BaseException:
        upload.discard()
        raise
    return upload
