"""`python -m scalesync` and the installed command: start little, import late."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line and leave with its exit code; an interrupt while starting is no traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, outside of flows
    try:
        from scalesync.cli.main import run  # noqa: PLC0415

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        print("scalesync: stopped before anything was sent", file=sys.stderr)  # noqa: T201
        code = 3
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # all is said
    # An interrupt inside an exec, as in the making of a dataclass, is remembered by CPython although it was caught, and
    # `python -m` would end by the signal in place of the code. Another exec makes it forget.
    exec("")  # noqa: S102
    sys.exit(code)


if __name__ == "__main__":
    main()
