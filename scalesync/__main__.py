"""`python -m scalesync` and the installed command: start little, import late."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line and leave with its exit code; an interrupt while starting prints no traceback."""
    open_standard_descriptors()
    taken = [signal.SIGTERM, *_hangup()]
    for number in taken:
        signal.signal(number, signal.default_int_handler)  # ends like Ctrl-C, outside of flows
    try:
        from scalesync.cli.main import run  # noqa: PLC0415

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        print("scalesync: stopped before anything was sent", file=sys.stderr)  # noqa: T201
        code = 3
    for number in (signal.SIGINT, *taken):
        signal.signal(number, signal.SIG_IGN)  # all is said
    # An interrupt inside an exec, as in the making of a dataclass, is remembered by CPython although it was caught, and
    # `python -m` would end by the signal in place of the code. Another exec makes it forget.
    exec("")  # noqa: S102
    sys.exit(code)


def _hangup() -> list[signal.Signals]:
    """SIGHUP, of a closed terminal, unless `nohup` ignores it or the system has none."""
    number = getattr(signal, "SIGHUP", None)
    return [] if number is None or signal.getsignal(number) is signal.SIG_IGN else [number]


def open_standard_descriptors() -> None:
    """Put the null device where standard input, output or error is closed, as daemons leave them.

    Otherwise the next file or socket gets that number: whatever prints an error then writes to it, or it is closed with
    the stream; uvloop aborts the process if its own descriptors are among the first three. Python's own streams stay
    None: nobody reads what is written there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given out, and those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


if __name__ == "__main__":
    main()
