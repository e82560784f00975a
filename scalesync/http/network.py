"""The environment's network settings (proxies, certificates), and messages for network errors."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from scalesync.config.base_url import is_loopback
from scalesync.errors import ConfigError, NotTheApi, OutcomeUnknown, Unavailable
from scalesync.http.exchange import HEADER_BYTES

HOSTNAME_MISMATCH = 62  # OpenSSL: X509_V_ERR_HOSTNAME_MISMATCH
SPARE_FILES = 64  # for the ledger, sources, files being written and the loop itself
GATEWAY_TROUBLE = frozenset({500, 502, 503, 504})


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), or None.

    It does not use aiohttp's trust_env, which also reads ~/.netrc: an entry for the host would replace the API key.
    Requests to this machine use no proxy. Plain http is allowed there only because nobody else sees it.
    Raises ConfigError for an unusable proxy; the message never quotes the value.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies: Mapping[str, str] = urllib.request.getproxies()
    chosen = proxies.get(parts.scheme) or proxies.get("all")
    if not chosen or is_loopback(host):
        return None
    if urllib.request.proxy_bypass(host) or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    chosen = chosen if "://" in chosen else f"http://{chosen}"
    try:
        proxy = urlsplit(chosen)
        usable = proxy.scheme in {"http", "https"} and bool(proxy.hostname) and proxy.port != 0
    except ValueError:
        usable = False
    if not usable:
        name = f"{parts.scheme.upper()}_PROXY"
        raise ConfigError(f"the proxy in {name} or ALL_PROXY cannot be used; write it as http://HOST:PORT")
    return chosen


def transport_wanted() -> str:
    """How to make small requests, from SCALESYNC_TRANSPORT: `lean`, `session`, or `auto`.

    `lean` is LeanExchange; `auto` uses it with the releases of aiohttp that it was tested on.
    Raises ConfigError for any other value.
    """
    wanted = os.environ.get("SCALESYNC_TRANSPORT", "") or "auto"
    if wanted not in {"auto", "lean", "session"}:
        raise ConfigError(f'SCALESYNC_TRANSPORT is "{wanted}"; write auto, lean or session, or unset it')
    return wanted


def connections_allowed(wanted: int) -> int:
    """The wanted number of connections, or fewer if the soft limit of open files leaves no room for them."""
    if sys.platform == "win32":
        return wanted
    import resource  # noqa: PLC0415  not there on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - SPARE_FILES))


def shown(url: str) -> str:
    """A URL for messages: no credentials, no query, no fragment."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{host_of(url)}{parts.path}"
    except ValueError:
        return "a URL that cannot be read"


def host_of(url: str) -> str:
    """Host and port of a URL."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return "a host that cannot be read"


def tls_context() -> ssl.SSLContext:
    """The certificates that this machine trusts, or those of SSL_CERT_FILE and SSL_CERT_DIR.

    Raises ConfigError if a variable names nothing usable. OpenSSL would trust nobody then, and not say why.
    """
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if folders and not any(os.path.isdir(folder) for folder in folders.split(os.pathsep)):
        raise ConfigError(f"SSL_CERT_DIR names {folders}, which is not a folder; correct or unset it")
    context = ssl.create_default_context()
    if file:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            words = "holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"SSL_CERT_FILE names {file}: {words}; correct or unset it") from error
    return context


def translate(error: Exception, op: str, url: str, proxy: str | None = None) -> Exception:
    """Map aiohttp's errors to ours. The messages never hold credentials, a query or a header."""
    host = host_of(url)
    if isinstance(error, aiohttp.InvalidURL | UnicodeError):
        return ConfigError(f"{shown(url)} is not a usable address")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Unavailable(_distrust(error, host), op=op)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return Unavailable(f"cannot make a TLS connection to {host}: {_cause(error)}", op=op)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Unavailable(f"cannot reach the proxy {host_of(proxy or '')}: {_cause(error)}", op=op)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unavailable(proxy_refusal(error.status, proxy), op=op, status=error.status)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unavailable(f"cannot reach {host}: {_cause(error)}", op=op)
    if isinstance(error, asyncio.TimeoutError):
        return OutcomeUnknown(f"{host} did not answer in time", op=op)
    if is_long_header(error):
        return NotTheApi(
            f"{host} answers with a header of more than {HEADER_BYTES // 1024} KB, which is too long to read;"
            " ask its operator, or the operator of the proxy before it, what sends this header",
            op=op,
        )
    return OutcomeUnknown(f"{host} broke the connection ({type(error).__name__})", op=op)


def is_setting(error: Exception) -> bool:
    """Whether an error before the first answer comes from the settings, so that another attempt cannot help."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.status not in GATEWAY_TROUBLE
    return isinstance(error, aiohttp.ClientConnectorCertificateError)


def is_long_header(error: Exception) -> bool:
    """Whether the parser refused an answer because of a header of more than HEADER_BYTES."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, LineTooLong):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def proxy_refusal(status: int, proxy: str | None) -> str:
    """The message for a proxy that refuses our request."""
    what = "wants a user name and password" if status == 407 else f"answered {status}"
    return f"the proxy {host_of(proxy or '')} {what}; check HTTPS_PROXY and NO_PROXY"


def _distrust(error: aiohttp.ClientConnectorCertificateError, host: str) -> str:
    inner = error.certificate_error
    reason = getattr(inner, "verify_message", None) or str(inner)
    if getattr(inner, "verify_code", 0) == HOSTNAME_MISMATCH:
        return f"the certificate of {host} is for another name ({reason}); correct the address"
    return (
        f"cannot trust the certificate of {host} ({reason}); for a certificate authority of your own,"
        " name its PEM file in SSL_CERT_FILE"
    )


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return str(getattr(inner, "strerror", None) or inner) or "no answer in time"
