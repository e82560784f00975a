"""The API key is nowhere: not in what is printed, not in a file, not in a process's arguments, in no encoding."""

from __future__ import annotations

import asyncio
import base64
import html
import itertools
import json
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from aiohttp import web

from scalesync.http.credentials import basic, bearer, header
from scalesync.http.transport import Transport
from scalesync.masking import Mask
from scalesync.platforms.scale.adapter import ScalePlatform
from tests import forked
from tests.cli.conftest import environment
from tests.conftest import KIND, PROJECT, letter
from tests.network.test_never_hangs import OpenGate

# Every character that one encoding or another writes differently.
KEY = 'test_C4nary"%/+s3cr&t\\k3y=='
SIGNATURE = "5ign4ture-of-a-link"
LEVELS = {"quiet": ("-q",), "plain": (), "verbose": ("-v",), "very verbose": ("-v", "-v")}
COUNT = web.AppKey("COUNT", itertools.count)
PROGRAM = (sys.executable, "-W", "error", "-m", "scalesync")


def forms_of(key: str) -> dict[str, bytes]:
    """The key as it might be written."""
    raw = key.encode()
    forms = {
        "raw": key,
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "credentials": base64.b64encode(raw + b":").decode().rstrip("="),
        "url base64": base64.urlsafe_b64encode(raw + b":").decode().rstrip("="),
        "percent": quote(raw, safe=""),
        "percent, slashes kept": quote(raw),
        "percent, lower": re.sub("%..", lambda code: code[0].lower(), quote(raw, safe="")),
        "form": quote_plus(raw),
        "json": json.dumps(key)[1:-1],
        "json, slashes escaped": json.dumps(key)[1:-1].replace("/", "\\/"),
        "json in json": json.dumps(json.dumps(key)[1:-1])[1:-1],
        "html": html.escape(key),
        "python": repr(key)[1:-1],
        "hex": raw.hex(),
        "inner part": "C4nary",
    }
    return {name: form.encode() for name, form in forms.items()}


def found_in(data: bytes) -> set[str]:
    return {name for name, form in forms_of(KEY).items() if form in data}


@dataclass
class Trail:
    """Runs commands in a folder and keeps all that they let out."""

    folder: Path
    switches: tuple[str, ...]
    base_url: str
    codes: list[int] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    async def run(self, *args: str, base_url: str = "", module: str = "scalesync") -> int:
        """One command with the key in its environment; returns its exit code."""
        pids: list[int] = []
        watched = asyncio.create_task(self._watch(pids, " ".join(args)))
        code, out, err = await asyncio.to_thread(
            forked.run,
            module,
            (*args, *self.switches),
            folder=self.folder,
            environment=environment(self.folder, SCALE_API_KEY=KEY, SCALE_API_URL=base_url or self.base_url),
            meanwhile=pids.append,
        )
        watched.cancel()
        self._look(out.encode(), f"standard output of {args}")
        self._look(err.encode(), f"standard error of {args}")
        self.codes.append(code)
        assert SIGNATURE not in out + err, args
        return code

    async def serve(self) -> None:
        """The sandbox, until it says where it is and Ctrl-C is pressed."""
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *("sandbox", "--port", "0", "--json"),
            *self.switches,
            cwd=self.folder,
            env=environment(self.folder, SCALE_API_KEY=KEY),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 20)
        self._look(line + out + err, "the sandbox")
        assert process.returncode == 0

    async def _watch(self, pids: list[int], what: str) -> None:
        """Look at the arguments of what the program becomes and starts: `ps` shows them to everybody."""
        while True:
            for pid in pids:
                with suppress(OSError):
                    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                    for number in (pid, *children):
                        self._look(Path(f"/proc/{number}/cmdline").read_bytes(), f"arguments of {what}")
            await asyncio.sleep(0.05)

    def search_files(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file():
                self._look(path.read_bytes(), str(path))

    def _look(self, data: bytes, where: str) -> None:
        self.leaks.extend(f"{form} in {where}" for form in found_in(data))


async def echo(request: web.Request) -> web.Response:
    """A server whose errors repeat what was sent, in each encoding in turn."""
    sent = request.headers["Authorization"]
    if request.path.startswith("/v1/projects"):
        return web.json_response({"name": PROJECT, "type": KIND})
    number = next(request.app[COUNT])
    forms = [form.decode() for form in forms_of(KEY).values()]
    words = f"{forms[number % (len(forms) - 1)]} and {sent} and {KEY}"
    status = 400 if request.method == "POST" else 401
    if number % 3 == 0:
        return web.Response(status=status, text=f"<html><b>{words}</b></html>", content_type="text/html")
    body = json.dumps({"error": words})
    return web.Response(status=status, text=body.replace("/", "\\/") if number % 2 else body)


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    app = web.Application()
    app[COUNT] = itertools.count(1)
    app.router.add_route("*", "/{rest:.*}", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


CRASH = """
import asyncio, logging, os, sys, warnings
from scalesync.cli.main import run
from scalesync.flows.imports.intake import Intake
from scalesync.platforms.scale.adapter import ScalePlatform

async def take(self, *args):
    key = os.environ["SCALE_API_KEY"]
    told = f"boom {key} {key!r} {ScalePlatform.credential(key).headers()["Authorization"]}"
    logging.getLogger("elsewhere").error(told)
    asyncio.get_running_loop().call_exception_handler({"message": told, "exception": KeyError(told)})
    raise RuntimeError(told)

Intake.take = take
sys.exit(run(sys.argv[1:]))
"""


# Very verbose lets out all that the others do, and more.
@pytest.mark.parametrize(
    "level",
    [pytest.param(level, marks=pytest.mark.soak) if level != "very verbose" else level for level in LEVELS],
)
@pytest.mark.timeout(120)
async def test_the_key_is_nowhere(level, make_sandbox, write_records, tmp_path):
    sandbox = await make_sandbox(result_bytes=2000, refuse={"letter-00003": 400})
    sandbox.store.world("test").add_project("v", "videoannotation")
    source = write_records(8)
    trail = Trail(tmp_path, LEVELS[level], sandbox.base_url)
    (tmp_path / "crash.py").write_text(CRASH)
    typed = ("import", str(source), "--type", KIND, "--project", PROJECT)
    await asyncio.gather(trail.run(*typed, "--job", "one"), trail.run("sandbox", "--host", "192.0.2.1"), trail.serve())
    await video_tasks(sandbox.base_url)
    export = ("export", "--download-responses", "--ledger", "export.db")
    async with echoing() as hostile:
        await asyncio.gather(
            trail.run(*export, "--out", "out"),
            trail.run(*export, "--out", "refused", base_url=hostile),
            trail.run(*typed, "--job", "echoed", "--ledger", "echoed.db", base_url=hostile),
            trail.run("status"),
            trail.run("failures"),
        )
        await asyncio.gather(
            trail.run("retry", "--job", "one"),
            trail.run("retry", "--job", "echoed", "--ledger", "echoed.db", base_url=hostile),
            trail.run("failures", "--ledger", "echoed.db", "--out", "failed.jsonl", base_url=hostile),
            trail.run(*typed, "--job", "crash", module="crash"),
        )
        await later_commands(trail, typed, hostile)
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    await asyncio.gather(
        trail.run(*typed, "--ledger", "broken.db"),
        trail.run("demo", "--records", "10"),
        trail.run("import", f"http://127.0.0.1:1/x.jsonl?X-Amz-Signature={SIGNATURE}", "--type", KIND),
    )
    trail.search_files()
    requests = [str(seen) for seen in sandbox.engine.journal]
    assert requests
    assert not found_in("\n".join(requests).encode())
    assert trail.leaks == []
    assert set(trail.codes) >= {0, 1, 2}
    assert reasons(tmp_path / "echoed.db")


async def later_commands(trail: Trail, typed: tuple[str, ...], hostile: str) -> None:
    """Those that check, mend, repeat and condense, at a server that answers and at one that repeats what it is sent."""
    records = typed[1:]
    period = ("--from", "7d", "--to", "2100-01-01", "--window", "1w")
    await asyncio.gather(
        trail.run("verify", "--job", "one"),
        trail.run("status", "--job", "one", "--refresh"),
        trail.run("ledger", "rebuild", *records, "--job", "rebuilt", "--ledger", "rebuilt.db"),
        trail.run("export", "--incremental", "--out", "increments", "--ledger", "increments.db"),
        trail.run("backfill", "export", "--out", "windows", "--ledger", "windows.db", *period),
    )
    await asyncio.gather(
        trail.run("retry", "--job", "one", "--errored"),
        trail.run("compact", "--from", "increments", "--to", "newest"),
        trail.run("verify", "--job", "one", base_url=hostile),
        trail.run("ledger", "rebuild", *records, "--job", "bad", "--ledger", "bad.db", base_url=hostile),
        trail.run("backfill", "export", "--out", "refused2", "--ledger", "refused2.db", *period, base_url=hostile),
    )


async def video_tasks(base_url: str) -> None:
    task = {"attachment": "https://x.test/a.mp4", "attachment_type": "video", "project": "v", "unique_id": "v"}
    task["geometries"] = {"box": {"objects_to_annotate": ["p"]}}
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer test_k"}) as session,
        session.post(f"{base_url}/task/videoannotation", json=task) as reply,
    ):
        assert reply.status == 200


def reasons(ledger: Path) -> list[str]:
    with sqlite3.connect(ledger) as db:
        found = [row[0] for row in db.execute("SELECT reason FROM rows WHERE reason IS NOT NULL")]
    db.close()
    return found


@pytest.mark.parametrize("form", sorted(forms_of(KEY).keys() - {"inner part"}))
def test_the_mask_covers_each_form(form):
    mask = Mask()
    mask.add(KEY)
    assert not found_in(mask(f"before {forms_of(KEY)[form].decode()} behind").encode())


def test_a_header_names_what_is_to_be_hidden():
    for credential in (ScalePlatform.credential(KEY), bearer(KEY), header("apikey", KEY), basic("me", KEY)):
        told = " ".join([*credential.headers().values(), KEY])
        assert found_in(told.encode())
        transport = Transport("http://127.0.0.1:1/v1", credential, OpenGate())
        assert not found_in(transport.hide(told).encode())
        assert set(credential.headers().values()).isdisjoint(transport.hide(told).split())


async def test_links_to_results_and_sources_show_no_signature(make_sandbox, write_records, tmp_path):
    sandbox = await make_sandbox()
    trail = Trail(tmp_path, ("-v", "-v"), sandbox.base_url)
    app = web.Application()
    signed = f"?X-Amz-Signature={SIGNATURE}&Expires=1"

    async def tasks(request: web.Request) -> web.Response:
        links = {
            "a": {"url": f"http://user:pa55word@127.0.0.1:1/result{signed}"},
            "b": {"url": f"http://127.0.0.1:notaport/x{signed}"},
        }
        document = letter(1) | {"task_id": "a" * 24, "type": KIND, "status": "completed", "response": links}
        document |= {"created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z"}
        return web.json_response({"docs": [document], "total": 1, "has_more": False})

    async def nothing(request: web.Request) -> web.Response:
        return web.json_response({}, status=404)

    app.router.add_get("/v1/tasks", tasks)
    app.router.add_get("/v1/task/{id}", nothing)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        code = await trail.run("export", "--download-responses", "--out", "out", base_url=address)
    finally:
        await runner.cleanup()
    assert code == 1
    written = list((tmp_path / "out").glob("responses-*"))
    assert written
    assert not any(word in path.read_text() for path in written for word in (SIGNATURE, "pa55word"))
