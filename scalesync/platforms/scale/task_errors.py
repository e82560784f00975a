"""Why a task is in error, in the server's words. Of a URL in them, only scheme and host remain.

`response` of such a task is {"error": text, "attachments": [{"statusCode", "url"}]} or, for sequences of frames,
{"error": text, "frames": [{"frame", "message", "attachment": {"statusCode", "url"}}]} (Scale docs: Errors).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from scalesync.model.outcomes import TaskError
from scalesync.model.records import JsonObject

SHOWN_PLACES = 3
TEXT_LIMIT = 500
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>]+", re.IGNORECASE)


def error_of(task: JsonObject) -> TaskError:
    """The server's message, then host and status of each attachment that failed. `status` is that of the first one."""
    value = task.get("response")
    response: dict[str, Any] = value if isinstance(value, dict) else {}
    error = response.get("error")
    words = [_plain(error) if isinstance(error, str) and error.strip() else "the server gives no reason"]
    places = list(dict.fromkeys(_places(response)))
    shown = [text for text, _ in places[:SHOWN_PLACES] if text]
    if len(places) > SHOWN_PLACES:
        shown.append(f"and {len(places) - SHOWN_PLACES} more")
    if shown:
        words.append(f"({', '.join(shown)})")
    status = next((status for _, status in places if status is not None), None)
    return TaskError(" ".join(words)[:TEXT_LIMIT], status)


def _places(response: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
    for item in _objects(response.get("attachments")):
        yield _attachment(item)
    for frame in _objects(response.get("frames")):
        attachment = frame.get("attachment")
        text, status = _attachment(attachment) if isinstance(attachment, dict) else ("", None)
        message = frame.get("message")
        said = _plain(message) if isinstance(message, str) else ""
        parts = [part for part in (f"frame {frame.get('frame', '?')}", said, text) if part]
        yield ": ".join(parts), status


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def _attachment(item: dict[str, Any]) -> tuple[str, int | None]:
    status = item.get("statusCode")
    code = status if isinstance(status, int) and 100 <= status < 1000 else None
    url = item.get("url")
    host = _host(url) if isinstance(url, str) else ""
    answered = "" if code is None else f"answered {code}"
    return " ".join(part for part in (host, answered) if part), code


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _plain(text: str) -> str:
    """The text in one line, with only scheme and host of a URL: its path names the record, its query may be secret."""
    without = _URL.sub(lambda found: f"{found[0].partition('://')[0]}://{_host(found[0])}/...", text)
    return " ".join(without.encode("utf-8", "replace").decode().split())
