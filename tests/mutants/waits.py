"""Mutants of what the network and the server do, and of what a run says meanwhile."""

from __future__ import annotations

from tests.mutants.model import Edit, Mutant

NETWORK = "tests/network"

WAIT_MUTANTS = (
    Mutant(
        "the Retry-After of a 503 is not read",
        "a wait that the server asks for is kept",
        (
            Edit(
                "scalesync/platforms/exchange.py",
                "    if status not in MAY_ASK and status < 500:\n",
                "    if status != 429:\n",
            ),
        ),
        (f"{NETWORK}/test_asked_waits.py",),
    ),
    Mutant(
        "the date of a Retry-After is compared with this machine's clock",
        "a wait that the server asks for is kept",
        (
            Edit(
                "scalesync/platforms/exchange.py",
                '    sent_s = http_date_s(headers.get("Date"))\n',
                '    sent_s = __import__("time").time()\n',
            ),
        ),
        (f"{NETWORK}/test_asked_waits.py",),
    ),
    Mutant(
        "a wait that came with a 503 holds nothing",
        "a wait that the server asks for is kept",
        (Edit("scalesync/flows/gate.py", "        if retry_after_s is not None:\n", "        if status == 429:\n"),),
        (f"{NETWORK}/test_asked_waits.py",),
    ),
    Mutant(
        "creates that are redirected are sent again and again",
        "an address that is wrong is told at once",
        (
            Edit(
                "scalesync/engine/dispatch.py",
                "        if self._strays >= STRAYS and ",
                "        if self._strays < 0 and ",
            ),
        ),
        (f"{NETWORK}/test_strays.py",),
    ),
)
