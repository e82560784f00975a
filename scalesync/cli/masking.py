"""Keep the API key out of everything that is printed, whatever form it took on the way."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"


class Mask:
    """Replaces every known secret, plain, as Basic credentials, percent-encoded or escaped as JSON, by ***."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, secret: str) -> None:
        """Hide this text from now on."""
        if not secret:
            return
        raw = secret.encode("utf-8", "surrogateescape")
        forms = {secret, quote(raw), quote(raw, safe=""), quote_plus(raw), json.dumps(secret)[1:-1], raw.hex()}
        for form in (raw, raw + b":"):
            encoded = base64.b64encode(form).decode("ascii")
            forms |= {encoded, encoded.rstrip("="), quote(encoded, safe="")}
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
