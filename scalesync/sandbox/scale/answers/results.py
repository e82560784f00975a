"""Result files behind `response.*.url`: per type a list or mapping of frames, or an image.

The same UUID always gives the same bytes. Source of the shapes: Scale docs, callback pages.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.answers.draws import Draws
from scalesync.sandbox.scale.answers.links import Target, open_id, seal
from scalesync.sandbox.scale.answers.shapes import Maker
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.state.world import World

FRAMES = 3  # if the task has no list of attachments
CHUNK = 64 * 1024
MAX_INLINE = 1024 * 1024
POINTS = 64


@dataclass(frozen=True)
class Layout:
    """A file is the prefix, the items joined by commas, and the suffix."""

    prefix: bytes
    item: Callable[[Maker, list[str], int], bytes]
    suffix: bytes


def fetch(worlds: Iterable[World], call: Call) -> Reply:
    """GET /results/{uuid}, without a key. 403 for an expired link, 404 for a made-up one; errors are XML, as S3's."""
    for world in worlds:
        target = open_id(world, call.path[-1])
        task = world.by_seq[target.seq] if target and target.seq < len(world.by_seq) else None
        if target is None or task is None:
            continue
        if not valid(world, call):
            return denied(403, "AccessDenied", "Request has expired")
        return _file(world, task, target)
    return denied(404, "NoSuchKey", "The specified key does not exist.")


def valid(world: World, call: Call) -> bool:
    """Whether a link is still good: only signed ones expire."""
    if world.config.result_ttl_s is None:
        return True
    expires = call.first("Expires") or ""
    signed = call.first("Signature") == seal(world, call.path[-1], expires)
    return signed and expires.isdigit() and world.now() <= int(expires)


def denied(status: int, code: str, message: str) -> Reply:
    """An error as S3 writes it."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status, text.encode(), "application/xml")


def _file(world: World, task: Task, target: Target) -> Reply:
    if task.type == "segmentannotation":
        draws = Draws(f"{world.config.seed}:png:{target}")
        return Reply(body=png(draws.below(200), draws.below(200)), kind="image/png")
    size = world.config.result_bytes
    pieces = _pieces(world, task, target, size or 0)
    reply = Reply(kind="application/json")
    if world.config.result_gzip:
        pieces = _gzip(pieces)
        reply.headers["Content-Encoding"] = "gzip"
    if (size or 0) > MAX_INLINE:
        reply.stream = _chunks(pieces)
    else:
        reply.body = b"".join(pieces)
    return reply


def _pieces(world: World, task: Task, target: Target, size: int) -> Iterator[bytes]:
    params = loads(b"{" + task.body + b"}")["params"]
    attachments = params.get("attachments")
    frames = len(attachments) if isinstance(attachments, list) and attachments else FRAMES
    layout = _layout(task.type, target.number)
    maker = Maker(Draws(f"{world.config.seed}:result:{world.name}:{target}"), world.is_test, lambda _: "")
    labels = _labels(params, maker)
    yield layout.prefix
    sent, number = len(layout.prefix), 0
    while number < frames or sent < size:
        piece = (b"," if number else b"") + layout.item(maker, labels, number)
        sent += len(piece)
        number += 1
        yield piece
    yield layout.suffix


def _labels(params: dict[str, Any], maker: Maker) -> list[str]:
    geometries = params.get("geometries")
    for settings in geometries.values() if isinstance(geometries, dict) else ():
        if isinstance(settings, dict) and settings.get("objects_to_annotate"):
            return maker.labels(settings)
    return maker.labels(params)


def _gzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= CHUNK:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


def _layout(kind: str, number: int) -> Layout:
    if kind == "videoplaybackannotation":
        return Layout(b"[", _event, b"]") if number else Layout(b"{", _track, b"}")
    if kind == "lidarsegmentation" and number == 0:
        head = b'{"objects":[{"label":"unlabeled","index":0},{"label":"object","index":1}],"point_objects":['
        return Layout(head, _point_frame, b"]}")
    return Layout(b"[", _FRAMES.get(kind, _image_frame), b"]")


def _image_frame(maker: Maker, labels: list[str], _: int) -> bytes:
    head = {"uuid": maker.draws.uuid(), "type": "box", "label": maker.draws.one(labels)}
    return dumps({"annotations": [{**head, **maker.box(), "attributes": {}}]})


def _cuboid_frame(maker: Maker, labels: list[str], _: int) -> bytes:
    draws = maker.draws

    def spot(scale: int) -> dict[str, float]:
        return {axis: draws.between(-scale * 100, scale * 100) / 100 for axis in "xyz"}

    cuboid = {
        "uuid": draws.uuid(),
        "camera_used": draws.below(6),
        "label": draws.one(labels),
        "position": spot(50),
        "dimensions": {axis: draws.between(50, 500) / 100 for axis in "xyz"},
        "yaw": draws.between(-314, 314) / 100,
        "distance_to_device": draws.between(100, 9000) / 100,
        "numberOfPoints": draws.below(2000),
        "stationary": bool(draws.below(2)),
        "attributes": {},
    }
    return dumps({"cuboids": [cuboid]})


def _linked_frame(maker: Maker, labels: list[str], _: int) -> bytes:
    box = {"cuboid_uuid": maker.draws.uuid(), "label": maker.draws.one(labels), "type": "2d", **maker.box()}
    return dumps({"camera_responses": [{"annotations": [box], "camera_used": maker.draws.below(6)}]})


def _track(maker: Maker, labels: list[str], _: int) -> bytes:
    frames = [{"key": key, **maker.box(), "attributes": {}, "timestamp": key * 33} for key in (1, 5, 9)]
    track = {"label": maker.draws.one(labels), "geometry": "box", "frames": frames}
    return dumps({maker.draws.uuid(): track})[1:-1]


def _event(maker: Maker, labels: list[str], number: int) -> bytes:
    return dumps({"label": maker.draws.one(labels), "start": number * 10, "end": number * 10 + 5, "type": "event"})


def _point_frame(maker: Maker, _: list[str], __: int) -> bytes:
    return dumps([maker.draws.below(2) for _ in range(POINTS)])


_FRAMES: dict[str, Callable[[Maker, list[str], int], bytes]] = {
    "lidarannotation": _cuboid_frame,
    "lidarlinking": _linked_frame,
    "sensorfusion": _cuboid_frame,
    "multistage": _cuboid_frame,
}


def png(red: int, green: int) -> bytes:
    """A valid 8 x 8 RGB image of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((red, green, 80)) * 8 for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
