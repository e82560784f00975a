"""Recorded exchanges with the real API, as the Ruby gem VCR writes them. Its YAML has two kinds of bodies alone."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARED = Path(os.environ.get("SCALESYNC_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FOLDER = SHARED / "data" / "scale-api-recordings"
QUOTED = r"'((?:[^']|'')*)'"
BODY = re.compile(rf"string: (?:{QUOTED}|!binary \|-\n((?:\s+[A-Za-z0-9+/=]+\n)+))")
HEADER = re.compile(r"^ {6}([A-Z][\w-]*):\n {6}- (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. packed: the body as it came, which `headers` describes."""

    method: str
    path: str
    sent: bytes
    status: int
    headers: dict[str, str]
    packed: bytes

    @property
    def body(self) -> bytes:
        return gzip.decompress(self.packed) if self.headers.get("Content-Encoding") == "gzip" else self.packed

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def exchanges(path: Path) -> Iterator[Exchange]:
    """All of a file, in their order."""
    for text in path.read_text("utf-8").split("\n- request:\n")[1:]:
        request, _, response = text.partition("\n  response:\n")
        method, uri, status = (
            re.search(rf"^ +{name}: (\S+)", part, re.MULTILINE)
            for name, part in (("method", request), ("uri", request), ("code", response))
        )
        assert method is not None
        assert uri is not None
        assert status is not None
        headers = dict(HEADER.findall(response))
        yield Exchange(
            method[1].upper(), uri[1].partition("/v1")[2], _bytes(request), int(status[1]), headers, _bytes(response)
        )


def _bytes(part: str) -> bytes:
    found = BODY.search(part)
    assert found is not None, part
    if found[2]:
        return base64.b64decode(found[2])
    return re.sub(r"\n\s+", " ", found[1]).replace("''", "'").encode()
