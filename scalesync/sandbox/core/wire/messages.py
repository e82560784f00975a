"""One request and one reply, free of any HTTP library."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.rawjson import dumps

JSON = "application/json; charset=utf-8"


@dataclass
class Upload:
    """A file of a form. It waits at `path` until somebody takes it."""

    name: str
    kind: str  # its Content-Type
    path: Path
    size: int = 0

    def take(self, target: Path) -> None:
        """Move it. Raises OSError."""
        shutil.move(self.path, target)

    def discard(self) -> None:
        """Remove it, if nobody took it."""
        with contextlib.suppress(OSError):
            self.path.unlink()


@dataclass
class Form:
    """A body in multipart/form-data. too_large: a file was over the limit, and its end is not here."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    too_large: bool = False

    def discard(self) -> None:
        """Remove the files that nobody took."""
        for upload in self.files.values():
            upload.discard()


@dataclass
class Call:
    """One request. `path` is split at raw slashes, and then each part is decoded.

    Not frozen: the server adds the body and the faults later, and a copy would cost 4 % of a create.
    """

    method: str
    target: str  # path and query as received
    body: bytes = b""
    version: str = ""  # of the API, where a platform has several side by side
    form: Form | None = None  # instead of a body
    outside: bool = False  # True: not under the API's root, and `target` is the full path
    idempotency_key: str | None = None
    range: str | None = None  # the header of that name
    visible_after_s: float = 0.0  # set by the fault `lag`
    only: int | None = None  # set by the fault `partial`: at most this many records are made
    lies: tuple[FaultRule, ...] = ()  # faults of lists that strike this request
    draw: float = 0.0  # their draw, 0 to 1

    @cached_property
    def path(self) -> tuple[str, ...]:
        """Decoded segments, without the API's root."""
        raw = self.target.partition("?")[0].split("/")
        return tuple(unquote(part) for part in raw if part)

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """Values by name; empty values count as absent (recorded 2019: `?status&type`)."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.target.partition("?")[2]):
            found.setdefault(name, []).append(value)
        return found

    def first(self, name: str) -> str | None:
        """The value of a query name, the last one when repeated."""
        values = self.query.get(name)
        return values[-1] if values else None

    def flag(self, name: str) -> bool | None:
        """A boolean: True/False (Python SDK) or true/false (Node SDK). Raises ApiError 400."""
        value = self.first(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise ApiError(400, f"Invalid {name}: must be true or false")
        return value.lower() == "true"


@dataclass
class Reply:
    """One reply; a stream has neither length nor body."""

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None


def ok(value: object) -> Reply:
    """A 200 with a JSON value."""
    return Reply(body=dumps(value))


def integer(call: Call, name: str, default: int, low: int, high: int | None, *, clamp: bool = False) -> int:
    """A whole number of the query within low..high. Raises ApiError 400."""
    text = call.first(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise ApiError(400, f"Invalid {name}: must be an integer") from None
    inside = max(low, value) if high is None else min(max(low, value), high)
    if inside != value and not clamp:
        raise ApiError(400, f"Invalid {name}: must be between {low} and {high if high is not None else 'any'}")
    return inside
