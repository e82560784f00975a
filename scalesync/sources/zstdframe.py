"""The header of a zstd frame: how much memory it takes to unpack it, and whether it needs a dictionary.

Source: RFC 8878, sections 3.1.1.1 and 3.1.2.
"""

from __future__ import annotations

from typing import NamedTuple

MAGIC = b"\x28\xb5\x2f\xfd"
HEADER_BYTES = 18  # of the longest header, magic included
WINDOW_LOG_MAX = 31  # 2 GiB, what `zstd --long=31` writes and the most that a 64-bit library reads
ORDINARY_WINDOW = 128 * 1024 * 1024  # bytes; what every reader accepts without being asked
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)


class FrameHeader(NamedTuple):
    """window: bytes that unpacking keeps in memory.
    dictionary: number of the one that is needed, 0 for none.
    """

    window: int
    dictionary: int


NO_HEADER = FrameHeader(0, 0)


def is_zstd(data: bytes) -> bool:
    """Whether bytes begin as zstd: with a frame, or with a skippable one, as pzstd writes it first."""
    return data.startswith(MAGIC) or (data[1:4] == b"\x2a\x4d\x18" and data[0] & 0xF0 == 0x50)


def read_header(data: bytes) -> FrameHeader:
    """The header at the beginning of `data`; HEADER_BYTES are enough. NO_HEADER if there is none."""
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + 2:
        return NO_HEADER
    flags, at = data[len(MAGIC)], len(MAGIC) + 1
    single = bool(flags & 0x20)
    window = 0
    if not single:
        exponent, mantissa = data[at] >> 3, data[at] & 7
        window = (1 << (10 + exponent)) * (8 + mantissa) // 8
        at += 1
    width = _DICTIONARY_BYTES[flags & 3]
    dictionary = int.from_bytes(data[at : at + width], "little")
    if single:
        at += width
        width = _SIZE_BYTES[flags >> 6] or 1
        window = int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)
    return FrameHeader(window, dictionary)


def size_words(count: int) -> str:
    """`2 GiB`, `192 MiB`: bytes of a window."""
    gib, mib = count / (1 << 30), count / (1 << 20)
    return f"{gib:g} GiB" if gib >= 1 else f"{mib:.4g} MiB"


def repacking(window: int) -> str:
    """How a person makes a version of the file that needs little memory."""
    log = max(window - 1, 1).bit_length()
    return f"zstd -d --long={log} -c FILE | zstd > NEW packs it again with a small one"
