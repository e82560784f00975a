"""The command line, with small pieces and blocks if asked for: python -m tests.reading.program GRAIN ARGS..."""

from __future__ import annotations

import sys

from scalesync.cli.main import run
from scalesync.flows.imports import plan
from scalesync.flows.imports.reading import checkpoints
from scalesync.sources import bytestream

# Bytes that are read at once, bytes between two marks, their share of a source, bytes of one with marks, records in a
# load.
COARSE = (bytestream.CHUNK, checkpoints.NEAREST_BYTES, checkpoints.SHARE, checkpoints.LEAST_BYTES, plan.LOAD_RECORDS)
FINE = (300, 1, 10_000, 0, 50)


def set_grain(grain: str) -> None:
    """Cut the input into small pieces, or as the program does by itself."""
    size, nearest, share, least, load = FINE if grain == "fine" else COARSE
    bytestream.CHUNK = size
    checkpoints.NEAREST_BYTES = nearest
    checkpoints.SHARE = share
    checkpoints.LEAST_BYTES = least
    plan.LOAD_RECORDS = load


def main() -> int:
    set_grain(sys.argv[1])
    return run(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
