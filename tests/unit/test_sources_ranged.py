"""Web servers whose answers to a Range are not the part that was asked for, or not of the same file."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from scalesync.errors import SourceError
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from scalesync.sources.places import ranged
from scalesync.sources.places.downloaded import BLOCK

pytest.importorskip("fsspec")
LINES = 3_500
BODY = b"".join(b'{"n":%d,"t":"%s"}\n' % (n, b"x" * 990) for n in range(LINES))
Headers = dict[str, str]
Answer = tuple[int, Headers, bytes]
Change = Callable[[int, int, Answer], Answer]  # start of the part, requests so far, the honest answer


@contextmanager
def serving(change: Change) -> Iterator[tuple[str, list[str]]]:
    """The address of the file, and the Range of each request."""
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            asked.append(self.headers.get("Range", ""))
            start, stop = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, len(BODY))
            part = BODY[start:stop]
            told = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(BODY)}", "ETag": '"a"'}
            status, headers, body = change(start, len(asked), (206, told, part) if wanted else (200, {}, BODY))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/a.jsonl", asked
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged, "WAIT_S", 0.001)


def numbers(url: str) -> list[int]:
    (source,) = open_sources([url], ReadOptions())
    return [record.value["n"] for block in source.blocks() for record in block.records]  # type: ignore[union-attr]


def test_an_honest_server_is_asked_for_one_block_after_the_other() -> None:
    with serving(lambda start, count, answer: answer) as (url, asked):
        assert numbers(url) == list(range(LINES))
    assert max(int(one.rpartition("-")[2]) - int(one[6:].partition("-")[0]) for one in asked) < BLOCK


def later(instead: Callable[[Answer], Answer]) -> Change:
    return lambda start, count, answer: instead(answer) if start else answer


LIES: dict[str, tuple[Change, str]] = {
    "an empty part": (later(lambda answer: (206, answer[1], b"")), "gives 0 bytes where it announces"),
    "an empty part that says so": (
        later(lambda answer: (206, {"Content-Range": f"bytes {BLOCK}-{BLOCK - 1}/{len(BODY)}"}, b"")),
        "gives another part|changed while it was read",
    ),
    "half a part": (later(lambda answer: (206, answer[1], answer[2][:1000])), "gives 1,000 bytes where it announces"),
    "the beginning again": (
        later(lambda answer: (206, answer[1] | {"Content-Range": f"bytes 0-{BLOCK - 1}/{len(BODY)}"}, BODY[:BLOCK])),
        "gives another part of the file",
    ),
    "a part without a word": (later(lambda answer: (206, {"ETag": '"a"'}, answer[2])), "does not say which part"),
    "the whole file": (later(lambda answer: (200, {}, BODY)), "changed while it was read"),
    "an error page": (later(lambda answer: (200, {}, b"<html>sorry</html>")), "changed while it was read"),
    "a shorter file": (later(lambda answer: (416, {}, b"")), "changed while it was read"),
    "another size": (
        later(lambda answer: (206, {"Content-Range": f"bytes {BLOCK}-{BLOCK + 9}/{BLOCK + 10}"}, b"x" * 10)),
        "changed while it was read",
    ),
    "a newer file": (later(lambda answer: (206, answer[1] | {"ETag": '"b"'}, answer[2])), "changed while it was read"),
    "an outage": (later(lambda answer: (503, {}, b"")), "status 503"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_is_not_the_part_asked_for_stops_in_words(lie: str) -> None:
    change, words = LIES[lie]
    with serving(change) as (url, asked), pytest.raises(SourceError, match=words):
        numbers(url)
    assert len(asked) <= 4 * ranged.ATTEMPTS


@pytest.mark.parametrize("lie", ["an empty part", "the beginning again", "a part without a word", "an outage"])
def test_a_fault_that_passes_costs_nothing(lie: str) -> None:
    change, _ = LIES[lie]
    struck: set[int] = set()

    def once(start: int, count: int, answer: Answer) -> Answer:
        if start in struck:
            return answer
        struck.add(start)
        return change(start, count, answer)

    with serving(once) as (url, _):
        assert numbers(url) == list(range(LINES))


def test_a_server_that_is_not_there_at_first_is_asked_again() -> None:
    with serving(lambda start, count, answer: (503, {}, b"") if count < 3 else answer) as (url, _):
        assert numbers(url) == list(range(LINES))


def test_an_empty_file_has_no_first_byte() -> None:
    with serving(lambda start, count, answer: (416, {}, b"")) as (url, _):
        assert numbers(url) == []
