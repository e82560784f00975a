"""The way to the server: proxies, certificates, IPv6."""

from __future__ import annotations

import hashlib
import socket
import ssl
import tempfile
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from scalesync.errors import ConfigError
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.http.network import proxy_for
from scalesync.sandbox import Sandbox
from tests.conftest import KIND, PROJECT
from tests.network.proxy import Proxy
from tests.network.relay import listening

SECRET = "u5er:pr0xy-passw0rd"


def port_of(sandbox: Sandbox) -> int:
    return int(sandbox.base_url.rsplit(":", 1)[1].split("/")[0])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def tls_of(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
async def secure(authority):
    """secure("localhost") starts a sandbox behind TLS with a certificate for these names."""
    opened: list[Sandbox] = []

    async def make(*names: str) -> Sandbox:
        sandbox = Sandbox(ssl_context=tls_of(authority, *names))
        await sandbox.__aenter__()
        opened.append(sandbox)
        sandbox.store.world("live").add_project(PROJECT, KIND)
        return sandbox

    yield make
    for sandbox in opened:
        await sandbox.__aexit__(None, None, None)


# --- proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"])
def test_a_proxy_is_found_under_each_of_its_names(name, monkeypatch):
    monkeypatch.setenv(name, "http://proxy.test:3128")
    scheme = "http" if name.lower() == "http_proxy" else "https"
    assert proxy_for(f"{scheme}://api.test/v1") == "http://proxy.test:3128"


def test_a_proxy_without_a_scheme_is_a_plain_one(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "proxy.test:3128")
    assert proxy_for("https://api.test/v1") == "http://proxy.test:3128"


@pytest.mark.parametrize("rule", ["api.test", "*", ".test", "other.org,api.test", "api.test:8443"])
def test_no_proxy_names_hosts_that_are_reached_directly(rule, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", rule)
    assert proxy_for("https://api.test:8443/v1") is None
    assert proxy_for("https://elsewhere.org/v1") == (None if rule == "*" else "http://proxy.test:3128")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_what_stays_on_this_machine_goes_through_no_proxy(host, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    assert proxy_for(f"http://{host}:8787/v1") is None


@pytest.mark.parametrize("value", [f"socks5://{SECRET}@proxy.test:1080", f"http://{SECRET}@[::1", "http://"])
def test_a_proxy_that_cannot_be_used_is_reported_without_its_password(value, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as told:
        proxy_for("https://api.test/v1")
    assert "pr0xy" not in str(told.value)


async def test_plain_http_goes_through_the_proxy_with_its_password(
    make_sandbox, hurried, load, save, write_records, monkeypatch, tmp_path, notebook
):
    sandbox = await make_sandbox()
    hurried()
    proxy = Proxy(port_of(sandbox), password=SECRET)
    async with listening(proxy.serve) as port:
        monkeypatch.setenv("http_proxy", f"http://{SECRET}@127.0.0.1:{port}")
        summary = await load("http://api.test/v1", write_records(5), allow_http=True)
        exported = await save("http://api.test/v1")
    assert (summary.exit_code, summary.created, exported.tasks) == (0, 5, 5)
    assert f"POST http://api.test/v1/task/{KIND}" in proxy.seen
    assert not holds(tmp_path, "pr0xy-passw0rd")
    assert "pr0xy" not in str(notebook.notes)


async def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_key(
    secure, trusted, hurried, load, write_records, monkeypatch
):
    sandbox = await secure("api.test")
    hurried()
    proxy = Proxy(port_of(sandbox), password=SECRET)
    async with listening(proxy.serve) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{SECRET}@127.0.0.1:{port}")
        summary = await load("https://api.test/v1", write_records(5))
    assert (summary.exit_code, summary.created) == (0, 5)
    assert set(proxy.seen) == {"CONNECT api.test:443"}
    assert not any(b"\r\nAuthorization:" in head for head in proxy.heads)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_named_at_once_and_nothing_is_sent(
    scheme, hurried, load, write_records, monkeypatch
):
    hurried()
    proxy = Proxy(1, password=SECRET)
    async with listening(proxy.serve) as port:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://other:wrong-word@127.0.0.1:{port}")
        with pytest.raises(ConfigError, match=rf"the proxy 127\.0\.0\.1:{port} wants a user name and password") as told:
            await load(f"{scheme}://api.test/v1", write_records(2), allow_http=True)
    assert "wrong-word" not in str(told.value)
    assert len(proxy.seen) == 1


async def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(
    hurried, load, write_records, monkeypatch, unused_port
):
    hurried()
    monkeypatch.setenv("HTTPS_PROXY", f"http://{SECRET}@127.0.0.1:{unused_port}")
    with pytest.raises(Exception, match=rf"cannot reach the proxy 127\.0\.0\.1:{unused_port}") as told:
        await load("https://api.test/v1", write_records(2))
    assert "pr0xy" not in str(told.value)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- certificates ------------------------------------------------------------------------------


async def test_a_private_authority_is_trusted_through_ssl_cert_file(secure, trusted, hurried, load, write_records):
    sandbox = await secure("localhost")
    hurried()
    summary = await load(f"https://localhost:{port_of(sandbox)}/v1", write_records(5))
    assert (summary.exit_code, summary.created) == (0, 5)


async def test_a_private_authority_is_trusted_through_ssl_cert_dir(
    secure, authority, hurried, load, write_records, monkeypatch, tmp_path
):
    sandbox = await secure("localhost")
    hurried()
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / f"{subject_hash(authority)}.0").write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    summary = await load(f"https://localhost:{port_of(sandbox)}/v1", write_records(3))
    assert (summary.exit_code, summary.created) == (0, 3)


async def test_an_unknown_authority_is_one_sentence_that_names_ssl_cert_file(secure, hurried, load, write_records):
    sandbox = await secure("localhost")
    hurried()
    with pytest.raises(ConfigError, match=r"cannot trust the certificate of localhost:\d+ \(.*SSL_CERT_FILE") as told:
        await load(f"https://localhost:{port_of(sandbox)}/v1", write_records(3))
    assert "\n" not in str(told.value)


async def test_a_certificate_for_another_name_is_reported_as_that(secure, trusted, hurried, load, write_records):
    sandbox = await secure("other.test")
    hurried()
    with pytest.raises(ConfigError, match="is for another name"):
        await load(f"https://localhost:{port_of(sandbox)}/v1", write_records(3))


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_a_variable_that_names_no_certificates_is_reported(
    name, hurried, load, write_records, monkeypatch, tmp_path
):
    hurried()
    monkeypatch.setenv(name, str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match=name):
        await load("https://localhost:1/v1", write_records(1))


async def test_a_certificate_file_without_certificates_is_reported(hurried, load, write_records, monkeypatch):
    hurried()
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(b"no certificate\n")
        file.flush()
        monkeypatch.setenv("SSL_CERT_FILE", file.name)
        with pytest.raises(ConfigError, match="holds no certificate in PEM form"):
            await load("https://localhost:1/v1", write_records(1))


def subject_hash(authority: trustme.CA) -> str:
    """The name under which OpenSSL looks a certificate up in a folder: X509_NAME_hash.

    SHA-1 over the subject with its texts as lower-case UTF-8, the first four bytes turned round.
    """
    parts = b""
    for attribute in x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject:
        oid = der_of_oid(attribute.oid.dotted_string)
        text = " ".join(str(attribute.value).lower().split()).encode()
        parts += tlv(0x31, tlv(0x30, oid + tlv(0x0C, text)))
    return hashlib.sha1(parts).digest()[:4][::-1].hex()


def tlv(tag: int, value: bytes) -> bytes:
    assert len(value) < 128
    return bytes([tag, len(value)]) + value


def der_of_oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    assert all(number < 128 for number in rest)
    return tlv(0x06, bytes([40 * first + second, *rest]))


# --- IPv6 --------------------------------------------------------------------------------------


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_an_address_of_ipv6_works_like_any_other(hurried, load, save, write_records):
    hurried()
    async with Sandbox(host="::1") as sandbox:
        sandbox.store.world("live").add_project(PROJECT, KIND)
        port = int(sandbox.base_url.rsplit(":", 1)[1].split("/")[0])
        address = f"http://[::1]:{port}/v1"
        assert resolve_settings(base_url=address, environ={"SCALE_API_KEY": "live_k"}).base_url == address
        summary = await load(address, write_records(2))
        exported = await save(address)
    assert (summary.exit_code, summary.created, exported.tasks) == (0, 2, 2)


def holds(folder: Path, text: str) -> bool:
    """Whether any file below the folder holds the text."""
    return any(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
