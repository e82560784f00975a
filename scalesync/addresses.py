"""URLs as they may be shown and kept: without credentials, and to people without query and fragment."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WITHIN = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]+://[^\s"'<>\\]+""")
_WEB = ("http", "https")


def is_url(spec: str) -> bool:
    """True for what begins with a scheme, such as s3://; file:// is a path."""
    return bool(_SCHEME.match(spec)) and not spec.startswith("file://")


def is_address(text: str) -> bool:
    """Whether a text begins with a scheme, file:// too; as a path it would be a local folder of that name."""
    return bool(_SCHEME.match(text))


def refused_as_path(text: str) -> str:
    """Why an address is not taken where a path of this machine is needed."""
    return f"{public_name(text)} is an address; name a file or folder of this machine"


def is_web(url: str) -> bool:
    """Whether it is an address of the web."""
    return url.partition("://")[0].lower() in _WEB


def public_name(spec: str) -> str:
    """A source as it may be shown: a URL without credentials, query and fragment; in a path they are plain letters."""
    return re.split(r"[?#]", without_credentials(spec), maxsplit=1)[0] if is_url(spec) else spec


def public_text(text: str) -> str:
    """A text with each URL in it as it may be shown."""
    return _WITHIN.sub(lambda url: public_name(url[0]), text)


def without_credentials(spec: str) -> str:
    """A source as typed, a URL without user and password. A name before @ that has no password may be a container."""
    if not is_url(spec):
        return spec
    scheme, _, rest = spec.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    if not is_web(spec) and ":" not in user:
        return spec
    return f"{scheme}://{host}{rest[len(authority) :]}"
