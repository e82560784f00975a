"""The address of an API as settings hold it: checked, and in one spelling."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from scalesync.errors import ConfigError
from scalesync.ports.spec import PlatformSpec


def check_base_url(text: str, spec: PlatformSpec, *, allow_http: bool = False) -> str:
    """The API root in one spelling: lower-case host, no default port, no trailing slash."""
    if "@" in text or "?" in text or "#" in text:
        raise ConfigError(
            "the API address must not hold a user name, password, query or fragment; "
            f"give the {spec.root}, such as {spec.root_like}"
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError("the API address holds spaces, control characters or letters outside ASCII")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"invalid API address {text!r}: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"the API address {text!r} must be a URL such as {spec.root_like}")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ConfigError(
            f"the API address {text!r} would send the key unencrypted; use https, or --allow-http if you must"
        )
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        shown = f"{shown}:{port}"
    path = parts.path.rstrip("/")
    for end in spec.other_roots:
        if path.endswith(end):
            path = path.removesuffix(end) + urlsplit(spec.root_like).path
    return SplitResult(parts.scheme, shown, path, "", "").geturl()


def is_loopback(host: str) -> bool:
    """Whether this name or address cannot leave the machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
