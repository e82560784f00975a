"""Messages for answers that are not the API's: a redirect, a web page, an empty body instead of JSON.

They come from a wrong address, a host that moved, a proxy, or a Wi-Fi that wants a login. The program follows no
redirect, because it would send the key and a create to somebody else.
"""

from __future__ import annotations

import json
import re
from urllib.parse import urljoin, urlsplit

from scalesync.http.transport import Reply

TITLE = re.compile(rb"<title[^>]*>([^<]{0,400})", re.IGNORECASE)
TITLE_CHARS = 80
HEAD_BYTES = 64 * 1024
LOGIN = "is the address right, or does a proxy or Wi-Fi want a login?"


def is_redirect(reply: Reply) -> bool:
    """Whether the answer is a redirect."""
    return 300 <= reply.status < 400


def stray(reply: Reply) -> str | None:
    """One sentence for an answer that is not the API's; None if it may be the API's.

    Call it for redirects, and for a success whose body is not the expected one. The sentence repeats only scheme and
    host of an address, because the rest may be secret.
    """
    where = reply.where or "the address"
    if is_redirect(reply):
        return f"{where} answers {reply.status} and points {_target(reply)}; correct the API address (--base-url)"
    if is_page(reply):
        title = _title(reply)
        named = f' ("{title}")' if title else ""
        return f"{where} answers {reply.status} with a web page{named} instead of the API; {LOGIN}"
    if not reply.body.strip():
        return f"{where} answers {reply.status} with nothing instead of the API; {LOGIN}"
    if not _begins_as_json(reply.body):
        kind = reply.headers.get("Content-Type", "").partition(";")[0].strip()[:60]
        named = f" ({reply.hide(kind)})" if kind else ""
        return f"{where} answers {reply.status} with something other than JSON{named} instead of the API; {LOGIN}"
    return None


def is_page(reply: Reply) -> bool:
    """Whether the answer is a web page, according to its type or its first character."""
    kind = reply.headers.get("Content-Type", "").lower()
    return reply.body[:HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or "html" in kind


def _target(reply: Reply) -> str:
    location = reply.headers.get("Location", "").strip()
    if not location:
        return "nowhere"
    try:
        parts = urlsplit(urljoin(reply.where + "/", location))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"}:
        return "to an address that cannot be read"
    origin = f"{parts.scheme}://{host}"
    here = urlsplit(reply.where)
    if (parts.scheme, host) == (here.scheme, here.netloc.rpartition("@")[2]):
        return f"to another path of {reply.hide(origin)}"
    return f"to {reply.hide(origin)}"


def _title(reply: Reply) -> str:
    found = TITLE.search(reply.body[:HEAD_BYTES])
    if found is None:
        return ""
    import html  # noqa: PLC0415  0.5 MB of entities, only a web page has a title

    text = " ".join(html.unescape(found[1].decode("utf-8", "replace")).split())
    return reply.hide(text)[:TITLE_CHARS]


def _begins_as_json(body: bytes) -> bool:
    """Whether the body begins as JSON. A cut or damaged JSON body counts: it is an answer of the API that was lost."""
    start = body[:HEAD_BYTES].strip()
    if start[:1] in {b"{", b"["}:
        return True
    try:
        json.loads(start.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return False
    return True
