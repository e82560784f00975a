"""A private nginx that answers like a task API, fast enough to show what a client costs.

    python -m benchmarks.nginx --port 8899
    python -m benchmarks.nginx --port 8899 --tls --latency 50

Every `POST /v1/task/<type>` is answered 200 with a task that echoes the unique_id and the body, every task can be
read, and every list is empty but that of a project `pagesN`. Needs nginx with its Lua module (Debian:
`apt-get install nginx libnginx-mod-http-lua`). Config, logs and pid stay in a
temporary folder; it listens on the loopback interface only.
"""

from __future__ import annotations

import argparse
import grp
import json
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
START_S = 10.0
STORE = "store.pem"

CONFIG = Template("""
load_module $modules/ndk_http_module.so;
load_module $modules/ngx_http_lua_module.so;
$user
worker_processes $workers;
daemon off;
pid $folder/nginx.pid;
error_log $folder/error.log warn;
events { worker_connections 4096; multi_accept on; }
http {
    access_log off;
    default_type application/json;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    client_body_buffer_size 64k;
    client_body_in_single_buffer on;
    client_max_body_size 16m;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    tcp_nodelay on;
    reset_timedout_connection on;
    lua_package_path "$here/?.lua;;";
    lua_shared_dict seen 1m;
    init_by_lua_block { require("nginx_tasks").init($latency) }
    server {
        listen 127.0.0.1:$port $ssl backlog=4096;
        server_name localhost;
        $certificate
        location ~ "^/v1/task/(?<task_id>[0-9a-f]{24})$$" { content_by_lua_block { require("nginx_tasks").get() } }
        location ~ ^/v1/task/(?<task_type>[a-z]+)$$ {
            content_by_lua_block { require("nginx_tasks").create() }
            $count
        }
        location = /v1/tasks { content_by_lua_block { require("nginx_tasks").list() } }
        location = /seen { content_by_lua_block { require("nginx_tasks").state() } }
        location / { default_type application/json; return 404 '{"error":"no such path","status_code":404}'; }
    }
}
""")


class NoNginx(Exception):
    """nginx or its Lua module is not there, or did not start; the words say which."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server counted. first, now: seconds since the epoch; first is 0 before any create.

    received, sent: bytes of creates and their replies with their heads, where bytes are counted.
    """

    creates: int
    first: float
    now: float
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running server. base_url: the v1 root. ca: PEM file to trust, where TLS is spoken. pid: of the master."""

    base_url: str
    ca: Path | None
    pid: int

    @property
    def env(self) -> dict[str, str]:
        """What a client's environment needs to trust the server (requests has a variable of its own)."""
        if self.ca is None:
            return {}
        return {"SSL_CERT_FILE": str(self.ca), "REQUESTS_CA_BUNDLE": str(self.ca)}

    @property
    def store_env(self) -> dict[str, str]:
        """The same for requests, with the public authorities in the file: it is read for every new connection."""
        return {} if self.ca is None else {**self.env, "REQUESTS_CA_BUNDLE": str(self.ca.parent / STORE)}

    def seen(self, *, reset: bool = False) -> Seen:
        """Creates since the start, or since the last reset; all of them, answered or not."""
        url = self.base_url.removesuffix("/v1") + "/seen"
        context = ssl.create_default_context(cafile=str(self.ca)) if self.ca else None
        request = urllib.request.Request(url, method="POST" if reset else "GET")
        with urllib.request.urlopen(request, context=context, timeout=START_S) as reply:
            return Seen(**json.load(reply))

    def cpu_s(self) -> float:
        """CPU seconds of all workers so far (user and system)."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        return sum(_cpu_s(int(child)) for child in children)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def modules_folder(nginx: str) -> Path:
    """Where this nginx keeps loadable modules. Raises NoNginx when the Lua module is not among them."""
    said = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"--modules-path=(\S+)", said)
    folder = Path(found[1] if found else "/usr/lib/nginx/modules")
    if not (folder / "ngx_http_lua_module.so").exists():
        raise NoNginx("nginx has no Lua module; apt-get install libnginx-mod-http-lua")
    return folder


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    *, port: int = 0, tls: bool = False, latency_ms: float = 0, workers: int = 1, count_bytes: bool = False
) -> Iterator[Nginx]:
    """Start a server, wait until it answers, stop it at the end. port 0 takes a free one. Raises NoNginx."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if program is None:
        raise NoNginx("nginx is not installed; apt-get install nginx libnginx-mod-http-lua")
    port = port or free_port()
    modules = modules_folder(program)
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as name:
        folder = Path(name)
        ca = make_certificate(folder) if tls else None
        config = CONFIG.substitute(
            modules=modules,
            user=_user(),
            workers=workers,
            folder=folder,
            here=HERE,
            latency=latency_ms,
            port=port,
            ssl="ssl" if tls else "",
            count='log_by_lua_block { require("nginx_tasks").count() }' if count_bytes else "",
            certificate=f"ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;" if tls else "",
        )
        (folder / "nginx.conf").write_text(config, encoding="utf-8")
        command = [program, "-p", name, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        with subprocess.Popen(command) as process:
            origin = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
            server = Nginx(f"{origin}/v1", ca, process.pid)
            try:
                _wait(server, process, folder)
                yield server
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(START_S)


def _user() -> str:
    """Workers keep the account that started them; without this line, root's would become another."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"


def make_certificate(folder: Path) -> Path:
    """An authority made for this run and a certificate for localhost; returns the authority's PEM file.

    `store.pem` beside it holds the public authorities as well, as a machine's trust store does.
    """
    import certifi  # noqa: PLC0415  only for TLS
    import trustme  # noqa: PLC0415

    authority = trustme.CA()
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    shutil.copyfile(certifi.where(), folder / STORE)
    authority.cert_pem.write_to_path(folder / STORE, append=True)
    return folder / "ca.pem"


def _wait(server: Nginx, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until it answers. Raises NoNginx with the end of its log when it ends or takes too long."""
    until = time.monotonic() + START_S
    while not _answers(server):
        if process.poll() is not None or time.monotonic() > until:
            log = folder / "error.log"
            words = log.read_text(encoding="utf-8", errors="replace")[-500:] if log.exists() else "no log"
            raise NoNginx(f"nginx did not start: {words}")
        time.sleep(0.02)


def _answers(server: Nginx) -> bool:
    try:
        server.seen(reset=True)
    except OSError:
        return False
    return True


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", action="store_true", help="speak TLS; clients trust the printed file (SSL_CERT_FILE)")
    parser.add_argument("--latency", type=float, default=0, metavar="MS", help="delay before every answer")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        serving(port=args.port, tls=args.tls, latency_ms=args.latency, workers=args.workers) as server,
    ):
        print("ready", server.base_url, *(f"{name}={value}" for name, value in server.env.items()), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
