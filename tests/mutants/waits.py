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
                "scalesync/http/exchange.py",
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
                "scalesync/http/exchange.py",
                '    sent_s = http_date_s(headers.get("Date"))\n',
                '    sent_s = __import__("time").time()\n',
            ),
        ),
        (f"{NETWORK}/test_asked_waits.py",),
    ),
    Mutant(
        "a wait that came with a 503 holds nothing",
        "a wait that the server asks for is kept",
        (
            Edit(
                "scalesync/flows/runtime/gate.py",
                "        if retry_after_s is not None:\n",
                "        if status == 429:\n",
            ),
        ),
        (f"{NETWORK}/test_asked_waits.py",),
    ),
    Mutant(
        "creates that are redirected are sent again and again",
        "a wrong address is reported at once",
        (
            Edit(
                "scalesync/engine/journeys.py",
                "        if self._strays >= STRAYS and ",
                "        if self._strays < 0 and ",
            ),
        ),
        (f"{NETWORK}/test_strays.py",),
    ),
    Mutant(
        "what was in flight clears a wait that the server asked for",
        "a run that waits says so",
        (
            Edit(
                "scalesync/engine/waits.py",
                "cause.passes != self.passes and cause.asked_until <= now",
                "cause.passes != self.passes",
            ),
        ),
        ("tests/unit/test_engine_waits.py", f"{NETWORK}/test_waiting.py"),
    ),
    Mutant(
        "a wait beyond the patience is sat out",
        "a run that waits says so",
        (
            Edit(
                "scalesync/engine/patience.py",
                "            if stuck.beyond and ",
                "            if stuck.since < 0 and ",
            ),
        ),
        (f"{NETWORK}/test_waiting.py",),
    ),
    Mutant(
        "an engine that waits says nothing",
        "a run that waits says so",
        (Edit("scalesync/engine/patience.py", "        self._waits.met(\n", "        Waits().met(\n"),),
        (f"{NETWORK}/test_waiting.py",),
    ),
    Mutant(
        "a single call that waits says nothing",
        "a run that waits says so",
        (Edit("scalesync/engine/calls.py", "        self._waits.met(\n", "        Waits().met(\n"),),
        (f"{NETWORK}/test_waiting.py",),
    ),
    Mutant(
        "requests without an answer are not a wait",
        "a run that waits says so",
        (Edit("scalesync/flows/runtime/watch.py", "now - self._answered_at < UNANSWERED_S:", "now >= 0:"),),
        (f"{NETWORK}/test_waiting.py",),
    ),
    Mutant(
        "records that are read count as finished",
        "the progress share counts finished records",
        (
            Edit(
                "scalesync/flows/imports/reading/read_progress.py",
                "max(0.0, taken - outstanding) / total",
                "max(0.0, taken) / total",
            ),
        ),
        ("tests/unit/test_flows_reading.py",),
    ),
    Mutant(
        "an answer that says nothing about any record ends the wait",
        "a list that makes no progress ends the run",
        (Edit("scalesync/engine/resolver.py", "        if any(clear):", "        if clear:"),),
        ("tests/flows/test_lookups_in_pages.py",),
    ),
)
