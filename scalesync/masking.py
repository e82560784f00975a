"""Keep secrets out of everything that is printed or kept, whatever form they took on the way."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_HTML = frozenset("&<>\"'")  # what HTML escapes
NESTED = 3  # an error in JSON may quote an error in JSON
_PERCENT = re.compile("%[0-9A-F]{2}")


class Mask:
    """Replaces every known secret, plain, as Basic credentials, percent-encoded or escaped as JSON or HTML, by ***."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, secret: str) -> None:
        """Hide this text from now on."""
        if not secret:
            return
        raw = secret.encode("utf-8", "surrogateescape")
        forms = {secret, raw.hex(), _in_html(secret)}
        for _ in range(NESTED):
            forms |= {written for form in forms for written in _escaped(form)}
        percent = {quote(raw), quote(raw, safe=""), quote_plus(raw)}
        for form in (raw, raw + b":"):
            for encoded in (base64.b64encode(form).decode("ascii"), base64.urlsafe_b64encode(form).decode("ascii")):
                forms |= {encoded, encoded.rstrip("=")}
                percent.add(quote(encoded, safe=""))
        forms |= percent | {_PERCENT.sub(lambda code: code[0].lower(), form) for form in percent}
        # the longest first, so that no form leaves a tail of another behind
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def deep(self, value: Any) -> Any:
        """The same JSON-able value with every text in it, names included, masked."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(str(name)): self.deep(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.deep(item) for item in value]
        return value


def _in_html(text: str) -> str:
    if not _HTML.intersection(text):
        return text
    import html  # noqa: PLC0415  0.5 MB of entities, for a sign that few secrets hold

    return html.escape(text)


def _escaped(text: str) -> Iterator[str]:
    yield (in_json := json.dumps(text)[1:-1])
    yield in_json.replace("/", "\\/")
    yield repr(text)[1:-1]
