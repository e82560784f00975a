"""Signed URLs: what of a URL a new signature changes, and the URL without it.

A link that was signed again points at the same file, so it makes neither another record nor another task.
"""

from __future__ import annotations

import re
from typing import Any

_URL = re.compile(r"""[A-Za-z][A-Za-z0-9+.\-]*://[^\s"'<>\\]+""")

# What must be there for a URL to count as signed, and what the signature consists of.
_AWS4 = frozenset(
    f"x-amz-{part}"
    for part in (
        "algorithm",
        "content-sha256",
        "credential",
        "date",
        "expires",
        "security-token",
        "signature",
        "signedheaders",
    )
)
_GOOG4 = frozenset(
    f"x-goog-{part}" for part in ("algorithm", "credential", "date", "expires", "signature", "signedheaders")
)
# fmt: off
_AZURE = frozenset(
    {"saoid", "scid", "sdd", "se", "ses", "si", "sig", "sip", "ske", "skoid", "sks", "skt", "sktid",
     "skv", "sp", "spr", "sr", "srt", "ss", "st", "suoid", "sv"}
)
# fmt: on
_SCHEMES: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset({"x-amz-signature"}), _AWS4),
    (frozenset({"x-goog-signature"}), _GOOG4),
    (
        frozenset({"awsaccesskeyid", "signature"}),
        frozenset({"awsaccesskeyid", "signature", "expires", "x-amz-security-token"}),
    ),
    (frozenset({"googleaccessid", "signature"}), frozenset({"googleaccessid", "signature", "expires"})),
    (frozenset({"ossaccesskeyid", "signature"}), frozenset({"ossaccesskeyid", "signature", "expires"})),
    (
        frozenset({"key-pair-id", "signature"}),
        frozenset({"key-pair-id", "signature", "expires", "policy", "hash-algorithm"}),
    ),
    (frozenset({"sig", "sv"}), _AZURE),
    (frozenset({"sig", "se"}), _AZURE),
    (frozenset({"sig", "si"}), _AZURE),
)


def strip_signatures(url: str) -> str:
    """The URL without what a new signature changes; other query parameters and their order stay.

    Known: AWS v2 and v4, Google v2 and v4, CloudFront, Aliyun, Azure SAS. Unsigned URLs come back as they are.
    """
    base, mark, query = url.partition("?")
    if not mark:
        return url
    query, hash_mark, fragment = query.partition("#")
    pairs = [(part.partition("=")[0].lower(), part) for part in query.split("&")]
    names = {name for name, _ in pairs}
    for needed, parts in _SCHEMES:
        if needed <= names:
            pairs = [pair for pair in pairs if pair[0] not in parts]
    if len(pairs) == len(query.split("&")):
        return url
    kept = "&".join(part for _, part in pairs)
    return f"{base}{'?' if kept else ''}{kept}{hash_mark}{fragment}"


def unsigned(value: Any) -> Any:
    """A JSON value with `strip_signatures` applied to each URL in its strings, anywhere in them."""
    if type(value) is str:
        return _URL.sub(lambda match: strip_signatures(match[0]), value) if "?" in value else value
    if type(value) is dict:
        return {key: unsigned(inner) for key, inner in value.items()}
    if type(value) is list:
        return [unsigned(inner) for inner in value]
    return value
