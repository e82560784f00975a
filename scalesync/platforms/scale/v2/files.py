"""Files of an answer: where a chat's threads, or the answer of a delivered task, point at one.

A file is an object with `scale_url` (Scale's copy) or `url` (where it came from); audio also has `transcript_url`. The
answer of a dataset's task is a free object, in which the address of an attachment is known by its path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 24  # a chunk of a message of a turn of a thread lies 12 deep
ADDRESSES = ("scale_url", "url")  # of one file, the better one first
INLINE = ("content", "file_content")  # the file itself, which stays in the line
# Quotations, with the pages that they came from, which are not files of the answer.
QUOTED = "reference_texts"
# The API itself answers at this address, with a redirect to the file.
KEYED = r"datasets/task/[^/?#]+/response_url/[^/?#]+"
_BY_KEY = re.compile(rf"https?://[^/?#]+/v2/{KEYED}")


def files(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """(path, URL) of each file, such as ("threads.0.turns.1.messages.2.content.attachments.0.url", "https://...").

    A file with its content in the line gives none. It skips what is not an address, and raises nothing.
    """
    if depth > MAX_DEPTH:
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from files(item, f"{path}.{number}", depth + 1)
    elif isinstance(value, dict):
        file = next((name for name in ADDRESSES if _is_address(value.get(name))), None)
        inline = any(value.get(name) for name in INLINE)
        for name, member in value.items():
            here = f"{path}.{name}" if path else _shown(name)
            if name == QUOTED:
                continue
            if not isinstance(member, str):
                yield from files(member, here, depth + 1)
            elif (name == file and not inline) or _is_other(name, member):
                yield _shown(here), member


def _is_other(name: str, member: str) -> bool:
    return (name == "transcript_url" and _is_address(member)) or _BY_KEY.fullmatch(member) is not None


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _shown(path: str) -> str:
    """The path without lone surrogates, which no file can hold."""
    return path.encode("utf-8", "replace").decode()
