"""Mutants of what is settled before anything is sent: settings, the question over money, ledgers, the canary."""

from __future__ import annotations

from tests.mutants.model import FLOWS, Edit, Mutant

TYPED = "options win over the environment"
MONEY = "the run asks before it spends money, if somebody can answer"
READ_ONLY = "a ledger that can only be read is read"
CANARY = "the first records are watched before the rest is sent"
CONFIG = ("tests/unit/test_config.py",)
ASKING = ("tests/cli/test_asking.py",)
SNAPSHOT = ("tests/contract/test_ledger_read_only.py",)
WATCHED = (f"{FLOWS}/test_refresh.py", f"{FLOWS}/test_import_bounds.py")


def _mutant(promise: str, name: str, file: str, old: str, new: str, first: tuple[str, ...]) -> Mutant:
    return Mutant(name, promise, (Edit(f"scalesync/{file}", old, new),), first)


COMMAND_MUTANTS = (
    # --- settings
    _mutant(
        TYPED,
        "the address of the environment beats a named profile",
        "config/settings.py",
        "    if named is not None and profile.typed:\n",
        "    if named is not None and profile.typed and spec.variables.url not in environ:\n",
        CONFIG,
    ),
    _mutant(
        TYPED,
        "the key of the environment beats a named profile",
        "config/keys.py",
        "    if ambient and not (profile.typed and named):\n",
        "    if ambient:\n",
        CONFIG,
    ),
    _mutant(
        TYPED,
        "a named profile beats an option",
        "config/settings.py",
        "    if typed is not None:\n        return typed, Origin.TYPED\n",
        "    if typed is not None and not profile.typed:\n        return typed, Origin.TYPED\n",
        CONFIG,
    ),
    _mutant(
        TYPED,
        "what a named profile leaves to the environment is not said",
        "config/settings.py",
        "    if not ambient or profile.name is None:\n",
        "    if not ambient or profile.typed or profile.name is None:\n",
        CONFIG,
    ),
    _mutant(
        TYPED,
        "a default profile of the working folder is read unasked",
        "config/profiles.py",
        '    path = _user_folder() / f"{DEFAULT_PROFILE}.toml"\n',
        '    path = Path("config") / f"{DEFAULT_PROFILE}.toml"\n',
        CONFIG,
    ),
    _mutant(
        TYPED,
        "the program drops the profile that was named",
        "cli/common.py",
        "            profile=asked.profile,\n            ledger=asked.ledger,\n",
        "            ledger=asked.ledger,\n",
        ("tests/cli/test_settings.py",),
    ),
    _mutant(
        TYPED,
        "the program keeps to itself what the environment decides",
        "cli/common.py",
        "            for note in settings.notes:\n",
        "            for note in settings.notes[1:]:\n",
        ("tests/cli/test_settings.py",),
    ),
    _mutant(
        TYPED,
        "an option before the command's name beats the same one behind it",
        "cli/common.py",
        "outer_value if own is None or own is False else own",
        "own if outer_value is None or outer_value is False else outer_value",
        ("tests/cli/test_pieces.py",),
    ),
    # --- money
    _mutant(
        MONEY,
        "thousands of tasks are made with nobody at a terminal",
        "flows/imports/spending.py",
        '    if confirm is None:\n        raise ConfigError(\n            f"this makes more',
        '    if confirm is None and new > 9999:\n        raise ConfigError(\n            f"this makes more',
        ASKING,
    ),
    _mutant(
        MONEY,
        "nobody is asked at a terminal",
        "flows/imports/spending.py",
        '    await _ask(f"create {many} in {where} at {target}?", confirm)\n',
        "",
        ASKING,
    ),
    _mutant(
        MONEY,
        "a question is put where nobody can answer",
        "cli/asking.py",
        "stream is None or not stream.isatty() for",
        "stream is None for",
        ASKING,
    ),
    _mutant(
        MONEY,
        "an empty answer is a yes",
        "cli/asking.py",
        ".strip().casefold() in YES",
        '.strip().casefold() not in {"n", "no"}',
        ASKING,
    ),
    _mutant(
        MONEY,
        "a thousand tasks are asked for as well",
        "flows/imports/spending.py",
        "    if new <= FREE_NEW_TASKS:\n",
        "    if new < FREE_NEW_TASKS:\n",
        ASKING,
    ),
    _mutant(
        MONEY,
        "records that have their task are asked for again",
        "flows/imports/spending.py",
        "        new += len(records) - len(known)\n",
        "        new += len(records)\n",
        ASKING,
    ),
    _mutant(
        MONEY,
        "a pipe makes any number of tasks without a question",
        "flows/imports/spending.py",
        "        return FREE_NEW_TASKS\n",
        "        return None\n",
        ASKING,
    ),
    _mutant(
        MONEY,
        "thousands of records are sent again without a question",
        "flows/imports/spending.py",
        "    if target.mode is not Mode.LIVE or yes or number <= FREE_NEW_TASKS:\n",
        "    if target.mode is not Mode.LIVE or yes or number >= FREE_NEW_TASKS:\n",
        (f"{FLOWS}/test_retry_touches_few.py",),
    ),
    _mutant(
        MONEY,
        "nobody is asked before thousands of records are sent again",
        "flows/imports/spending.py",
        "    await _ask(f\"send {count(number, 'record')} again at {target}?\", confirm)\n",
        "",
        (f"{FLOWS}/test_retry_and_failures.py",),
    ),
    # --- a ledger that can only be read
    _mutant(
        READ_ONLY,
        "status wants to write the ledger",
        "ledger/sqlite/connection.py",
        "            if to_read:\n",
        "            if to_read and not create and not path:\n",
        SNAPSHOT,
    ),
    _mutant(
        READ_ONLY,
        "the journal beside a ledger is passed over",
        "ledger/sqlite/read_only.py",
        "{'&immutable=1' if whole else ''}",
        "{'&immutable=1' if whole or path else ''}",
        SNAPSHOT,
    ),
    _mutant(
        READ_ONLY,
        "a ledger of an older version is read as it is",
        "ledger/sqlite/read_only.py",
        "        if is_current(Database(_looked_at(connection, path))):\n",
        "        if is_current(Database(_looked_at(connection, path))) or path:\n",
        SNAPSHOT,
    ),
    _mutant(
        READ_ONLY,
        "an import continues with a ledger that cannot be written",
        "ledger/sqlite/connection.py",
        "            if to_read:\n",
        "            if to_read or create:\n",
        SNAPSHOT,
    ),
    # --- the canary
    _mutant(
        CANARY,
        "the whole block goes out with the canary",
        "flows/imports/limits.py",
        "            if self.new == self._canary:\n",
        "            if self._canary is not None and self.new == self._canary + 10_000:\n",
        WATCHED[::-1],
    ),
    _mutant(
        CANARY,
        "nobody looks at the canary",
        "flows/imports/run.py",
        "        await canary.judge(self._bounds.watched, settled, wait_s=self._plan.options.canary_wait)\n",
        "        await settled()\n",
        WATCHED[::-1],
    ),
    _mutant(
        CANARY,
        "the canary is judged before its answers are there",
        "flows/imports/canary.py",
        "        await settled()\n",
        "",
        WATCHED[::-1],
    ),
    _mutant(
        CANARY,
        "a canary that was refused goes on",
        "flows/imports/canary.py",
        "        refused = self._tally.failed + self._tally.conflicts\n",
        "        refused = self._tally.conflicts\n",
        WATCHED[::-1],
    ),
    _mutant(
        CANARY,
        "a canary in conflict goes on",
        "flows/imports/canary.py",
        "        refused = self._tally.failed + self._tally.conflicts\n",
        "        refused = self._tally.failed\n",
        WATCHED[::-1],
    ),
    _mutant(
        CANARY,
        "a canary whose task died goes on",
        "flows/imports/canary.py",
        '            self._stop(f"{len(dead)} of the first tasks died on the server")\n',
        "            return []\n",
        WATCHED,
    ),
    _mutant(
        CANARY,
        "a canary does not wait for attachments",
        "flows/imports/canary.py",
        "    return one.fetched and _status(result) == new\n",
        "    return False\n",
        WATCHED,
    ),
    _mutant(
        CANARY,
        "a canary that nobody lists is taken for accepted",
        "flows/imports/canary.py",
        "        if self._lost:\n",
        "        if self._lost < 0:\n",
        WATCHED,
    ),
    _mutant(
        CANARY,
        "only the last block of a canary is watched",
        "flows/imports/limits.py",
        "        known = await self._look([record.key for record in records])\n",
        "        known = await self._look([record.key for record in records])\n        self.watched.clear()\n",
        WATCHED,
    ),
    _mutant(
        CANARY,
        "the canary watches tasks that were there before",
        "flows/imports/limits.py",
        "            if not _is_new(known.get(record.key), record):\n",
        "            if not _is_new(known.get(record.key), record):\n"
        "                self.watched.append(Watched.of(record))\n",
        WATCHED[::-1],
    ),
    _mutant(
        CANARY,
        "records that have their task use up the canary",
        "flows/imports/limits.py",
        "            if not _is_new(known.get(record.key), record):\n",
        "            if self._canary is None and not _is_new(known.get(record.key), record):\n",
        WATCHED[::-1],
    ),
    _mutant(
        CANARY,
        "what another job left pending needs no canary",
        "flows/imports/limits.py",
        "    return waits or (known.state is RowState.FAILED",
        "    return not waits and (known.state is RowState.FAILED",
        WATCHED[::-1],
    ),
)
