"""What a call promises, on each way to the server; and when which way is taken."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiohttp
import pytest

from scalesync.errors import ConfigError, OutcomeUnknown, Unavailable
from scalesync.http import transport as transports
from scalesync.http.client_session import SessionExchange
from scalesync.http.credentials import bearer
from scalesync.http.exchange import Deadlines
from scalesync.http.lean import MOST_BODY, LeanExchange, is_proven
from scalesync.http.transport import Reply, Transport
from scalesync.model.targets import RequestClass
from tests.network.conftest import SHORT
from tests.network.relay import length_of, listening
from tests.network.test_never_hangs import OpenGate, bounded

CREATE = RequestClass.CREATE
BODY = '{"unique_id":"räksmörgås 1"}'.encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
Answer = Callable[[bytes, bytes], bytes | None]
pytestmark = pytest.mark.usefixtures("each_transport")


class Server:
    """Answers each request with raw bytes, keeps what it was sent; an answer of None closes the connection."""

    def __init__(self, answer: Answer = lambda head, body: OK, pieces: int = 1) -> None:
        self.answer = answer
        self.pieces = pieces
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(length_of(head)))
            answer = self.answer(head, self.bodies[-1])
            if answer is None:
                return
            size = -(-len(answer) // self.pieces)
            for start in range(0, len(answer), size):
                writer.write(answer[start : start + size])
                await writer.drain()
                await asyncio.sleep(0)

    def fields(self) -> dict[str, str]:
        """Header fields of the last request, names in small letters."""
        lines = self.heads[-1].decode().split("\r\n")[1:-2]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def to(port: int, gate: OpenGate | None = None, **more: object) -> Transport:
    return Transport(f"http://127.0.0.1:{port}/v1", bearer("live_k"), gate or OpenGate(), **more)  # type: ignore[arg-type]


def create(transport: Transport, body: bytes = BODY) -> Awaitable[Reply]:
    return transport.call(CREATE, "POST", "/task/x%20y", body=body)


@pytest.mark.parametrize("pieces", [1, 2, 7, 60])
async def test_a_call_sends_what_it_was_given_and_brings_back_what_came(pieces):
    answer = (
        b'HTTP/1.1 201 Made\r\nX-One: a\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\nContent-Length: 9\r\n\r\n{"a": 12}'
    )
    server = Server(lambda head, body: answer, pieces)
    async with listening(server.serve) as port, to(port) as transport:
        reply = await create(transport)
        assert (reply.status, reply.body, reply.headers.get("x-one")) == (201, b'{"a": 12}', "a")
        assert server.heads[0].startswith(b"POST /v1/task/x%20y HTTP/1.1\r\n")
        assert server.bodies == [BODY]
        sent = server.fields()
    assert (sent["host"], sent["content-length"]) == (f"127.0.0.1:{port}", str(len(BODY)))
    assert (sent["content-type"], sent["authorization"]) == ("application/json", "Bearer live_k")
    assert (sent["accept"], sent["user-agent"][:9]) == ("application/json", "scalesync")


ANSWERS = {
    "chunks": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: 12}\r\n0\r\n\r\n',
    "gzip": (packed := gzip.compress(b'{"a": 12}'))
    and b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed,
    "a hint before it": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 12}',
}


@pytest.mark.parametrize("pieces", [1, 5])
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_in_another_form_is_the_same_answer(name, pieces):
    server = Server(lambda head, body: ANSWERS[name], pieces)
    async with listening(server.serve) as port, to(port) as transport:
        for _ in range(3):
            reply = await create(transport)
            assert (reply.status, reply.body) == (200, b'{"a": 12}')
    assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
async def test_a_request_without_a_body_says_so_as_its_method_wants(method, each_transport):
    server = Server()
    async with listening(server.serve) as port, to(port) as transport:
        for path, query in (("/a%2Fb", [("tag", "ä & b"), ("tag", "")]), ("/c", [])):
            assert (await transport.call(CREATE, method, path, query=query)).body == b"{}"
        sent = server.fields()
        assert (await create(transport)).status == 200
    lines = [head.partition(b"\r\n")[0].decode() for head in server.heads]
    query = "?tag=%C3%A4+%26+b&tag="
    assert lines == [f"{method} /v1/a%2Fb{query} HTTP/1.1", f"{method} /v1/c HTTP/1.1", "POST /v1/task/x%20y HTTP/1.1"]
    assert sent.get("content-length") == (None if method == "GET" else "0")
    if each_transport == "lean":  # aiohttp says application/octet-stream of no body
        assert "content-type" not in sent
    assert (sent["authorization"], sent["host"]) == ("Bearer live_k", f"127.0.0.1:{port}")
    assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_reading_whose_idle_connection_goes_is_asked_again_and_nothing_else_is(method, each_transport):
    done = method == "GET" or (method == "DELETE" and each_transport == "session")  # aiohttp's own rule

    class Leaving(Server):
        """Takes the second request of its first connection, and closes it."""

        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            own = self.connections
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if own == 1 and len(self.heads) == 2:
                    return
                writer.write(OK)

    server = Leaving()
    async with listening(server.serve) as port, to(port) as transport:
        assert (await transport.call(CREATE, method, "/a")).status == 200
        if done:
            assert (await transport.call(CREATE, method, "/a")).status == 200
        else:
            with ends(OutcomeUnknown, "127"):
                await transport.call(CREATE, method, "/a")
    assert (server.connections, len(server.heads)) == ((2, 3) if done else (1, 2))


async def test_a_reading_on_a_new_connection_is_asked_once(each_transport):
    server = Server(lambda head, body: None)
    async with listening(server.serve) as port, to(port) as transport:
        with ends(OutcomeUnknown, "127"):
            await transport.call(CREATE, "GET", "/a")
    assert len(server.heads) == (1 if each_transport == "lean" else 2)  # aiohttp asks a new connection again as well


@pytest.mark.parametrize("pieces", [1, 9])
@pytest.mark.parametrize("packs", [False, True])
async def test_long_answers_and_empty_ones_leave_their_connection_fit_for_the_next(packs, pieces):
    """A long body makes the parser pause: whoever takes it has to set it going again."""
    texts = [b"x" * size for size in (0, 9, 150_000, 400_000, 0, 200_000, 9, 250_000, 3_000_000, 9)]

    def answer(head: bytes, body: bytes) -> bytes:
        number = int(body or head.split(b" ")[1].rpartition(b"/")[2])
        data = gzip.compress(texts[number]) if packs else texts[number]
        fields = b"Content-Encoding: gzip\r\n" if packs else b""
        return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(data), data)

    server = Server(answer, pieces)
    async with listening(server.serve) as port, to(port) as transport:
        for _ in range(2):
            for number, text in enumerate(texts):
                assert (await create(transport, b"%d" % number)).body == text
                assert (await transport.call(CREATE, "GET", f"/{number}")).body == text
    assert server.connections == 1


async def test_a_reading_asks_for_a_packed_answer_and_unpacks_it():
    """Pages of a list pack to a tenth."""
    packed = gzip.compress(b'{"docs": []}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    server = Server(lambda _, body: head % len(packed) + packed)
    async with listening(server.serve) as port, to(port) as transport:
        reply = await transport.call(RequestClass.LIST, "GET", "/tasks")
        assert reply.body == b'{"docs": []}'
        assert server.fields()["accept-encoding"].startswith("gzip, deflate")


async def test_an_answer_without_a_length_ends_with_its_connection():
    def answer(head: bytes, body: bytes) -> bytes | None:
        return b"HTTP/1.1 200 OK\r\n\r\n{}"

    class Closing(Server):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(length_of(head))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
            writer.write_eof()
            await reader.read()

    async with listening(Closing(answer).serve) as port, to(port) as transport:
        assert [(await create(transport)).body for _ in range(3)] == [b"{}"] * 3


@pytest.mark.parametrize("status", [200, 301, 400, 401, 409, 429, 500, 503])
async def test_every_status_is_an_answer(status):
    answer = b"HTTP/1.1 %d X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" % status
    server = Server(lambda head, body: answer)
    async with listening(server.serve) as port, to(port) as transport:
        assert (await create(transport)).status == status
    assert len(server.heads) == 1


async def test_calls_share_connections_and_open_no_more_than_are_in_flight():
    server = Server()
    async with listening(server.serve) as port, to(port) as transport:
        for _ in range(20):
            await create(transport)
        assert server.connections == 1
        await asyncio.gather(*(create(transport, BODY + b" " * n) for n in range(8)))
        assert server.connections <= 8
    assert sorted(len(body) for body in server.bodies[20:]) == [len(BODY) + n for n in range(8)]


@contextmanager
def ends(kind: type[Exception], words: str) -> Iterator[None]:
    with bounded(3), pytest.raises(kind, match=words):
        yield


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"SSH-2.0\r\n\r\n"])
async def test_an_answer_that_is_cut_off_or_none_leaves_the_outcome_open(answer):
    server = Server()

    def once(head: bytes, body: bytes) -> bytes | None:
        return OK if len(server.heads) > 1 else answer

    server.answer = once

    async with listening(server.serve) as port, to(port, deadlines=SHORT) as transport:
        with ends(OutcomeUnknown, "127"):
            await create(transport)
        assert (await create(transport)).status == 200
    assert len(server.heads) == 2


async def test_nobody_at_home_means_that_nothing_was_sent():
    async with listening(Server().serve) as port:
        pass
    gate = OpenGate()
    async with to(port, gate) as transport:
        with ends(Unavailable, "cannot reach"):
            await create(transport)
    assert gate.unheard == 1


@pytest.mark.parametrize("limits", [Deadlines(1, 0.2, 5), Deadlines(0.2, 5, 0.3)])
@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
@pytest.mark.parametrize("wait_s", [None, 0.0])
async def test_silence_ends_in_time(limits, beginning, wait_s):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(beginning)
        await reader.read()
        await reader.read()

    async with listening(silent) as port, to(port, OpenGate(wait_s), deadlines=limits) as transport:
        with ends(OutcomeUnknown, "did not answer in time"):
            await create(transport)


async def test_a_call_that_is_cancelled_takes_its_connection_along():
    server = Server(lambda head, body: b"" if body == b"{}" else OK)
    async with listening(server.serve) as port, to(port) as transport:
        waiting = asyncio.ensure_future(create(transport, b"{}"))
        while not server.bodies:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await create(transport)).body == b"{}"
    assert server.connections == 2


async def test_a_second_answer_that_nobody_asked_for_is_not_the_next_ones():
    stray = b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nbad"
    server = Server()
    server.answer = lambda head, body: OK + stray if len(server.heads) == 1 else OK
    async with listening(server.serve) as port, to(port) as transport:
        assert (await create(transport)).status == 200
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await create(transport)).status == 200


async def test_a_connection_that_was_closed_while_idle_is_not_used_again():
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(length_of(head))
        writer.write(OK)
        await writer.drain()

    async with listening(once) as port, to(port) as transport:
        for _ in range(5):
            assert (await create(transport)).status == 200
            for _ in range(50):
                await asyncio.sleep(0)


async def test_a_connection_that_goes_while_it_waits_for_its_moment_loses_nothing():
    """The server closes what is idle for 50 ms; the moment at the socket comes later than that."""
    seen: list[bytes] = []

    async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 0.05)
            seen.append(await reader.readexactly(length_of(head)))
            writer.write(OK)

    async with listening(impatient) as port, to(port, gate := OpenGate(0.0)) as transport:
        assert (await create(transport)).status == 200
        gate.wait_s = 0.2
        first = asyncio.ensure_future(create(transport, b"[2]"))
        await asyncio.sleep(0.1)
        gate.wait_s = 0.0
        if isinstance(transport._lean, LeanExchange):
            assert (await first).status == 200
            assert seen == [BODY, b"[2]"]
        else:
            with pytest.raises(OutcomeUnknown):  # aiohttp writes to a connection that has gone; a look-up settles it
                await first


async def test_many_calls_at_once_over_broken_connections_each_get_their_own_answer():
    turn = iter(range(10_000))

    def answer(head: bytes, body: bytes) -> bytes | None:
        if next(turn) % 7 == 3:
            return None
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def one(transport: Transport, number: int) -> bool:
        body = json.dumps({"n": number, "pad": "x" * (number % 50)}).encode()
        try:
            reply = await create(transport, body)
        except OutcomeUnknown:
            return False
        assert reply.body == body
        return True

    server = Server(answer)
    async with listening(server.serve) as port, to(port) as transport:
        done = await asyncio.gather(*(one(transport, number) for number in range(300)))
    assert 200 < sum(done) < 300
    assert len(server.bodies) == 300


# --- which way ---------------------------------------------------------------------------------------


async def way_of(base_url: str, method: str, body: bytes | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which exchange a call takes."""
    taken: list[str] = []
    for name, kind in (("lean", LeanExchange), ("session", SessionExchange)):

        async def note(self: object, *_: object, name: str = name) -> object:
            taken.append(name)
            raise aiohttp.ClientConnectionError

        monkeypatch.setattr(kind, "__call__", note)
    async with Transport(base_url, bearer("k"), OpenGate()) as transport:
        with pytest.raises(OutcomeUnknown):
            await transport.call(CREATE, method, "/x", body=body)
    return taken[0]


async def test_small_requests_are_lean_and_the_session_takes_the_rest(each_transport, monkeypatch):
    here = "http://127.0.0.1:1/v1"
    assert await way_of(here, "POST", b"{}", monkeypatch) == each_transport
    assert await way_of(here, "GET", None, monkeypatch) == each_transport
    assert await way_of(here, "DELETE", b"{}", monkeypatch) == each_transport
    assert await way_of(here, "POST", b"x" * (MOST_BODY + 1), monkeypatch) == "session"


async def test_what_is_not_proven_goes_by_the_session(monkeypatch):
    monkeypatch.setenv("SCALESYNC_TRANSPORT", "auto")
    monkeypatch.setattr(transports, "is_proven", lambda: True)
    assert await way_of("http://127.0.0.1:1/v1", "POST", b"{}", monkeypatch) == "lean"
    monkeypatch.setattr(transports, "is_proven", lambda: False)
    assert await way_of("http://127.0.0.1:1/v1", "POST", b"{}", monkeypatch) == "session"


async def test_a_proxy_is_the_sessions_matter(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("SCALESYNC_TRANSPORT", "auto")
    assert await way_of("https://api.example.test/v1", "POST", b"{}", monkeypatch) == "session"
    monkeypatch.setenv("SCALESYNC_TRANSPORT", "lean")
    with pytest.raises(ConfigError, match="proxy"):
        async with Transport("https://api.example.test/v1", bearer("k"), OpenGate()):
            pass


async def test_a_way_that_does_not_exist_is_said(monkeypatch):
    monkeypatch.setenv("SCALESYNC_TRANSPORT", "fast")
    with pytest.raises(ConfigError, match="auto, lean or session"):
        async with Transport("http://127.0.0.1:1/v1", bearer("k"), OpenGate()):
            pass


@pytest.mark.parametrize(
    ("version", "proven"),
    [
        ("3.14.5", True),
        ("3.14.12", True),
        ("3.14.4", False),
        ("3.15.0", False),
        ("4.0.0a1", False),
        ("3.14.6rc1", False),
    ],
)
def test_only_releases_that_were_tried_are_proven(version, proven):
    assert is_proven(version) is proven
