"""python -m tests.layers --draw: print the picture of docs/architecture.md."""

from __future__ import annotations

import argparse
import sys

from tests.layers.picture import draw


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.layers", description=__doc__)
    parser.add_argument("--draw", action="store_true", required=True, help="print the picture")
    parser.parse_args()
    sys.stdout.write(draw())


if __name__ == "__main__":
    main()
