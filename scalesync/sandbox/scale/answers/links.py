"""Result links: the UUID in a link names its task and file, so nothing is stored.

The UUID holds task number, revision and file number. It is masked and carries a keyed hash, so the
server finds no file for a made-up UUID.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.state.world import World

SEAL_BITS = 72
MASKED_BITS = 56  # seq 32, revision 16, file number 8


@dataclass(frozen=True)
class Target:
    """The task and file of a link."""

    seq: int
    revision: int
    number: int


def _hash(world: World, text: str, bits: int) -> int:
    key = f"{world.config.seed}:{world.name}".encode()[:64]
    digest = hashlib.blake2b(text.encode(), key=key, digest_size=bits // 8).digest()
    return int.from_bytes(digest, "big")


def result_id(world: World, target: Target) -> str:
    """The UUID of a result file."""
    plain = target.seq << 24 | (target.revision & 0xFFFF) << 8 | (target.number & 0xFF)
    seal = _hash(world, f"seal:{plain}", SEAL_BITS)
    masked = plain ^ _hash(world, f"mask:{seal}", MASKED_BITS)
    text = f"{masked << SEAL_BITS | seal:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def open_id(world: World, uuid: str) -> Target | None:
    """The task and file of a UUID of this world; None for a UUID that this world did not make."""
    try:
        value = int(uuid.replace("-", ""), 16)
    except ValueError:
        return None
    seal = value & ((1 << SEAL_BITS) - 1)
    plain = (value >> SEAL_BITS) ^ _hash(world, f"mask:{seal}", MASKED_BITS)
    if plain >> MASKED_BITS or _hash(world, f"seal:{plain}", SEAL_BITS) != seal:
        return None
    return Target(plain >> 24, plain >> 8 & 0xFFFF, plain & 0xFF)


def link(world: World, task: Task, number: int) -> str:
    """The absolute URL of the task's n-th result file. With `result_ttl_s` it is signed and expires."""
    uuid = result_id(world, Target(task.seq, task.revision, number))
    return f"{world.base_url}/results/{uuid}{signature(world, uuid)}"


def signature(world: World, uuid: str) -> str:
    """The query of a link that expires `result_ttl_s` after it was read; empty if links never expire."""
    ttl_s = world.config.result_ttl_s
    if ttl_s is None:
        return ""
    ends_ms = world.now() + int(ttl_s * 1000)
    return f"?Expires={ends_ms}&Signature={seal(world, uuid, str(ends_ms))}"


def seal(world: World, uuid: str, expires: str) -> str:
    """The signature of a UUID and its expiry time."""
    return f"{_hash(world, f'sign:{uuid}:{expires}', 80):020x}"
