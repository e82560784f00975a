"""Mutants of chunks, landing windows and commands."""

from __future__ import annotations

from tests.mutants.model import Edit, Mutant

_CHUNKS, _RESOLVER, _STORE = "scalesync/engine/chunks.py", "scalesync/engine/resolver.py", "scalesync/ledger/sqlite"
_V2 = "scalesync/platforms/scale/v2"
_TWICE = "no second task where a server takes a key twice"
_ENGINE = ("tests/engine/test_promises.py", "tests/engine/test_chunks.py")
_LEDGER = ("tests/contract/test_ledger.py",)

CHUNK_MUTANTS = (
    Mutant(
        "a record is sent without a look at what the server has",
        _TWICE,
        (Edit("scalesync/flows/imports/intake.py", "if self._repeat is Repeat.COMPARE_FIRST:", "if False:"),),
        ("tests/platforms/test_toy.py",),
    ),
    Mutant(
        "a run that was frozen sends what it had announced",
        _TWICE,
        (Edit("scalesync/flows/runtime/gate.py", "return cls not in CHANGING or self.holds()", "return True"),),
        ("tests/cli/test_kill_chunks.py",),
    ),
    Mutant(
        "a key that may not have been freed is sent again without a look",
        _TWICE,
        (
            Edit(
                _RESOLVER,
                "elif self._operation.repeat is _AT_ONCE:",
                "elif self._operation.repeat is not Repeat.ONCE:",
            ),
        ),
        ("tests/platforms/test_toy.py",),
    ),
    Mutant(
        "a task that somebody works on by now is removed",
        "--fix removes what nobody has worked on",
        (Edit("scalesync/flows/verify/removal.py", "if view.status != self._connection.words.new:", "if False:"),),
        ("tests/platforms/test_toy.py",),
    ),
    Mutant(
        "a rebuilt ledger takes one of several tasks",
        "several tasks under one key are a conflict",
        (Edit("scalesync/flows/jobs/rebuild.py", "others=finding.others", "others=()"),),
        ("tests/platforms/test_toy.py",),
    ),
    Mutant(
        "who asks joins a list that is under way",
        _TWICE,
        (Edit(f"{_V2}/listing.py", "        del self._next[place]  #", "        #"),),
        ("tests/unit/test_scale_chats.py",),
    ),
    Mutant(
        "what was sent is not listed again",
        _TWICE,
        (Edit(f"{_V2}/listing.py", "        if not unsent:\n", "        if False:\n"),),
        ("tests/unit/test_scale_chats.py",),
    ),
    Mutant(
        "a task in another batch is not looked for",
        _TWICE,
        (Edit(f"{_V2}/listing.py", "keys if key in self._batches}", "() if key in self._batches}"),),
        ("tests/unit/test_scale_chats.py",),
    ),
    Mutant(
        "a record that may have been sent counts as one that was not",
        _TWICE,
        (
            Edit(
                "scalesync/engine/queue.py",
                "return self.given_up is None and not self.taken and not self.record.unclear",
                "return not self.taken",
            ),
        ),
        ("tests/platforms/test_chats.py",),
    ),
    Mutant(
        "a list of another batch is believed",
        _TWICE,
        (Edit(f"{_V2}/listing.py", "if place.excludes(chat):", "if False:"),),
        ("tests/unit/test_scale_chats.py",),
    ),
    Mutant(
        "a second task loses its key before it is canceled",
        "--fix removes what nobody has worked on",
        (Edit(f"{_V2}/documents.py", "metadata.removed and head.status == CANCELED", "metadata.removed"),),
        ("tests/unit/test_scale_chats.py",),
    ),
    Mutant(
        "chats of a ledger over version 1 change to version 2",
        _TWICE,
        (Edit("scalesync/flows/imports/apis.py", "    if begun:\n", "    if begun == version:\n"),),
        ("tests/platforms/test_chat_choice.py",),
    ),
    Mutant(
        "a landing window is a second too short",
        _TWICE,
        (
            Edit(
                _RESOLVER,
                "doubt.given_up + self._operation.landing_s",
                "doubt.given_up + self._operation.landing_s - 1",
            ),
        ),
        _ENGINE,
    ),
    Mutant(
        "one look-up is enough to send again",
        _TWICE,
        (Edit(_RESOLVER, "        if doubt.given_up is None:\n            return False\n", "        return False\n"),),
        _ENGINE,
    ),
    Mutant(
        "a request leaves before it is in the ledger",
        _TWICE,
        (
            Edit(
                _CHUNKS,
                "            if self._careful and self._log is not None:\n                number",
                "            if self._log is None:\n                number",
            ),
        ),
        _ENGINE,
    ),
    Mutant(
        "the next run does not know what may still land",
        _TWICE,
        (Edit(_CHUNKS, "self._given_up.pop(record.key, unknown)", "unknown"),),
        _ENGINE,
    ),
    Mutant(
        "a refused chunk goes in halves although a part of it was made",
        _TWICE,
        (Edit(_CHUNKS, "nothing_done=self._operation.one_fate", "nothing_done=True"),),
        _ENGINE,
    ),
    Mutant(
        "a stopped run takes back what stands between two calls",
        _TWICE,
        (
            Edit(
                "scalesync/engine/dispatcher.py",
                "if self._pace.in_flight == 0 and self._operation.repeat is Repeat.IDEMPOTENT:",
                "if self._pace.in_flight == 0:",
            ),
        ),
        _ENGINE,
    ),
    Mutant(
        "a command is polled before its id is in the ledger",
        "a command is followed after a kill",
        (Edit(_CHUNKS, "                await self._log.accepted(number, command)\n", "                pass\n"),),
        _ENGINE,
    ),
    Mutant(
        "commands of the run before are not followed",
        "a command is followed after a kill",
        (
            Edit(
                _CHUNKS,
                "                    if chunk.command is not None:\n                        group",
                "                    if chunk.command == chunk.keys:\n                        group",
            ),
        ),
        _ENGINE,
    ),
    Mutant(
        "what must be done once is done again",
        "what must be done once is reported",
        (
            Edit(
                _RESOLVER,
                "if self._operation.repeat is Repeat.ONCE:",
                "if self._operation.repeat is Repeat.IDEMPOTENT:",
            ),
        ),
        _ENGINE,
    ),
    Mutant(
        "a request is forgotten before its outcomes are written",
        _TWICE,
        (
            Edit(
                f"{_STORE}/imports/chunks.py",
                "        values = (self._job, local_ms(), json.dumps(keys))\n",
                "        values = (self._job, local_ms(), json.dumps(keys))\n"
                "        await self._writer.write(lambda db: self.write_ended(db, *self.ended()))\n",
            ),
        ),
        _LEDGER,
    ),
    Mutant(
        "two imports of a target run where a server takes a key twice",
        _TWICE,
        (Edit(f"{_STORE}/store.py", "    if alone:\n", "    if alone and beside:\n"),),
        _LEDGER,
    ),
)
