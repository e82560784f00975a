"""`python -m scalesync` and the installed command: start little, import late."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code; an interrupt while starting is no traceback."""
    try:
        from scalesync.cli.main import run  # noqa: PLC0415

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        print("scalesync: stopped before anything was sent", file=sys.stderr)  # noqa: T201
        code = 3
    sys.exit(code)


if __name__ == "__main__":
    main()
