"""The platform of docs/extending.md, found by its entry point and run on a service of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from scalesync.errors import OutcomeUnknown, RemoteError
from scalesync.http.transport import Reply
from scalesync.model.outcomes import OutcomeKind
from scalesync.model.targets import RequestClass
from scalesync.testing.platform_suite import PlatformHarness
from scalesync.testing.trial import listed
from tests.cli.conftest import Ended, environment
from tests.docs.test_extending import blocks, install_example
from tests.forked import run

KEY = "a-key"
RECORDS = 230


class Shelf(BaseHTTPRequestHandler):
    """Things by name; every fifth PUT is kept and answered with a 500."""

    things: dict[str, bytes]
    puts = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        name = unquote(parts.path.removeprefix("/v1/things").removeprefix("/"))
        if name:
            self._answer(200 if name in self.things else 404, self.things.get(name, b"no such thing"))
            return
        after = parse_qs(parts.query).get("after", [""])[0]
        page = [self.things[name] for name in sorted(self.things) if name > after][:100]
        self._answer(200, b"".join(thing + b"\n" for thing in page))

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).puts += 1
        self.things.setdefault(unquote(self.path.rpartition("/")[2]), body)
        self._answer(500 if self.puts % 5 == 0 else 200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        if self.headers["Authorization"] != f"Bearer {KEY}":
            status, body = 401, b"who are you?"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said on standard error."""


@contextmanager
def shelf() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A service that is up: its root, and what it keeps."""
    handler = type("Filled", (Shelf,), {"things": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", handler.things
        finally:
            server.shutdown()
            thread.join()


def test_a_platform_is_one_module_and_one_entry_point(tmp_path: Path) -> None:
    install_example(tmp_path, "A platform")
    records = [{"unique_id": f"thing/{number:03}", "text": f"no. {number}"} for number in range(RECORDS)]
    (tmp_path / "things.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    with shelf() as (root, things):

        def program(*arguments: str) -> Ended:
            given = environment(tmp_path, SHELF_KEY=KEY, SHELF_URL=root)
            typed = [*arguments, "--platform", "shelf"]
            return Ended(*run("scalesync", typed, folder=tmp_path, environment=given))

        done = program("import", "things.jsonl", "--job", "things", "--yes", "--rate", "600", "--json")
        assert (done.code, done.json["created"] + done.json["adopted"]) == (0, RECORDS), done
        assert things.keys() == {record["unique_id"] for record in records}
        assert json.loads(things["thing/007"]) == {"name": "thing/007", "thing": records[7]}
        assert program("export", "--out", "out").code == 0
        assert sorted(listed(tmp_path / "out")) == sorted(things.values())
        assert program("verify", "--job", "things").code == 0
        del things["thing/007"]
        assert program("verify", "--job", "things").code == 1


class Kept:
    """Answers each call with 200, or raises; keeps what it heard."""

    def __init__(self, error: RemoteError | None = None) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self._error = error

    async def call(self, kind: RequestClass, method: str, path: str, **given: Any) -> Reply:
        self.heard.append((kind, method, path, given["body"]))
        if self._error is not None:
            raise self._error
        return Reply(200, {}, b"{}")


async def test_the_change_on_the_page_is_declared_planned_and_made() -> None:
    (platform,), (changes,) = blocks("A platform"), blocks("A platform", "py")
    shown: dict[str, Any] = {}
    exec(compile(platform + changes, "extending.md", "exec"), shown)
    spec = shown["CHANGES"]["color set"]
    assert replace(shown["SPEC"], changes=shown["CHANGES"]).changes["color set"] is spec
    assert spec.plan({"color": "red"}, {"color": "red"}).is_done
    assert not spec.plan({}, {"color": "red"}).is_done
    kept = Kept()
    outcome = await shown["Changer"](shown["Shelf"](kept)).change(spec, "a/b", {"color": "red"}, None)
    assert (outcome.kind, outcome.ref) == (OutcomeKind.CREATED, "a/b")
    assert kept.heard == [(RequestClass.MUTATE, "PATCH", "/things/a%2Fb", b'{"color": "red"}')]
    lost = shown["Changer"](shown["Shelf"](Kept(OutcomeUnknown("no answer"))))
    assert (await lost.change(spec, "a", {"color": "red"}, None)).kind is OutcomeKind.UNKNOWN


def test_the_harness_on_the_page_has_what_the_suite_asks_for() -> None:
    (code,) = blocks("The suite for platforms")
    shown: dict[str, type] = {}
    exec(compile(code, "extending.md", "exec"), shown)
    told = {name for name in vars(shown["ShelfHarness"]) if not name.startswith("_")}
    assert told <= {*vars(PlatformHarness), *PlatformHarness.__annotations__}
    assert PlatformHarness.__abstractmethods__ <= told
    shown["TestShelf"].__test__ = False  # type: ignore[attr-defined]
