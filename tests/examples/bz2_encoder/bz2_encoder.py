"""JSON lines in bzip2: a file is a sequence of streams, of which each is whole."""

import bz2
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from scalesync.outputs.encoders.plugin import Output, OutputFormat


class Encoder:
    """Each pause ends a stream; the next documents begin another."""

    def __init__(self, file: Output) -> None:
        self._file = file
        self._stream: bz2.BZ2Compressor | None = None

    def add(self, lines: Sequence[bytes]) -> None:
        self._stream = self._stream or bz2.BZ2Compressor()
        self._file.write(self._stream.compress(b"\n".join(lines) + b"\n"))

    def pause(self) -> None:
        if self._stream is not None:
            self._file.write(self._stream.flush())
            self._stream = None

    def close(self) -> None:
        self.pause()


def lines(file: BinaryIO) -> Iterator[bytes]:
    with bz2.BZ2File(file) as unpacked:
        for line in unpacked:
            yield line.rstrip(b"\n")


FORMAT = OutputFormat(api=1, name="jsonl.bz2", open=Encoder, lines=lines, resumable=True)
