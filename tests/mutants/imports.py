"""Mutants of the import, the ledger and the pace."""

from __future__ import annotations

from tests.mutants.model import FAULTS, FLOWS, Edit, Mutant

IMPORT_MUTANTS = (
    Mutant(
        "a request leaves before its intent is durable",
        "exactly once",
        (
            Edit(
                "scalesync/flows/imports/intake.py",
                "        with anyio.CancelScope(shield=True):\n            admissions = await self._job.admit(",
                "        await self._engine.put(records, [])\n        await anyio.sleep(0.2)\n"
                "        with anyio.CancelScope(shield=True):\n            admissions = await self._job.admit(",
            ),
            Edit(
                "scalesync/flows/imports/intake.py",
                "        await self._engine.put(send, look_up)\n",
                "        await self._engine.put([], look_up)\n",
            ),
        ),
        (f"{FAULTS}/test_order.py",),
    ),
    Mutant(
        "a 409 is a success",
        "a 409 is not a success by itself",
        (
            Edit(
                "scalesync/platforms/scale/wire.py",
                "return Outcome(OutcomeKind.TAKEN, ref=",
                "return Outcome(OutcomeKind.CREATED if found else OutcomeKind.TAKEN, ref=",
            ),
        ),
        (f"{FLOWS}/test_import_conflicts.py",),
    ),
    Mutant(
        "nothing is compared",
        "a 409 is not a success by itself",
        (
            Edit(
                "scalesync/platforms/scale/compare.py",
                "match = Match.DIFFERENT if found else Match.EQUAL",
                "match = Match.EQUAL",
            ),
        ),
        (f"{FLOWS}/test_import_conflicts.py",),
    ),
    Mutant(
        "a canceled task is as good as any",
        "a 409 is not a success by itself",
        (Edit("scalesync/platforms/scale/compare.py", "    if status in DEAD:\n", "    if status == DEAD:\n"),),
        (f"{FLOWS}/test_import_conflicts.py",),
    ),
    Mutant(
        "a retry goes without its unique_id",
        "exactly once",
        (
            Edit(
                "scalesync/platforms/scale/tasks.py",
                "        try:\n            reply = await self._transport.call(RequestClass.CREATE, "
                '"POST", self._path, body=record.body)\n',
                "        body = loads(record.body)\n        if record.attempts:\n"
                '            del body["unique_id"]\n        try:\n'
                "            reply = await self._transport.call(RequestClass.CREATE, "
                '"POST", self._path, body=wire.dumps(body))\n',
            ),
        ),
        (f"{FLOWS}/test_import_faults.py",),
    ),
    Mutant(
        "an unclear answer is sent again without a look-up",
        "kill -9 is harmless",
        (
            Edit(
                "scalesync/engine/journeys.py",
                "self.queue.doubt(InDoubt(record, message=outcome.message), self.delay_s(record.unclear))",
                "self.queue.later(record, self.delay_s(record.unclear))",
            ),
        ),
        (f"{FAULTS}/test_sdk.py",),
    ),
    Mutant(
        "a row in doubt is sent again by the next run without a look-up",
        "kill -9 is harmless",
        (
            Edit(
                "scalesync/ledger/moves.py",
                "                Verb.LOOK_UP, None, intent_ms, listed_as=None if left",
                "                Verb.SEND, None, intent_ms, listed_as=None if left",
            ),
        ),
        (f"{FAULTS}/test_promises.py",),
    ),
    Mutant(
        "a look-up is believed whatever it returns",
        "exactly once",
        (
            Edit(
                "scalesync/platforms/scale/lookup.py",
                "                self._trusted = False\n",
                "                pass\n",
            ),
        ),
        (f"{FAULTS}/test_promises.py",),
    ),
    Mutant(
        "the first page of a look-up is taken for the whole answer",
        "one page is not the answer",
        (
            Edit("scalesync/platforms/scale/lookup.py", "        return page.cursor\n", "        return None\n"),
            Edit("scalesync/platforms/scale/lookup.py", "self._ended = page.cursor is None\n", "self._ended = True\n"),
        ),
        ("tests/unit/test_scale_lookup.py",),
    ),
    Mutant(
        "a list in a circle proves that a key is absent",
        "one page is not the answer",
        (
            Edit(
                "scalesync/platforms/scale/lookup.py", "if self._ended and self._trusted else", "if self._trusted else"
            ),
        ),
        ("tests/unit/test_scale_lookup.py",),
    ),
    Mutant(
        "the refusal of a repeated finalize call is taken for an answer",
        "a change whose reply was lost is read back",
        (
            Edit(
                "scalesync/flows/imports/batches.py",
                "            return str(error) if why == _OPEN else why\n",
                "            return str(error)\n",
            ),
        ),
        (f"{FLOWS}/test_import_batches.py",),
    ),
    Mutant(
        "a batch is finalized by one job's view",
        "one job's view is not the world",
        (
            Edit(
                "scalesync/flows/imports/finish.py",
                'not in" if missing else _owed(owing.get(name, ()), plan)\n',
                'not in" if missing else None\n',
            ),
        ),
        (f"{FLOWS}/test_batches_of_several_jobs.py",),
    ),
    Mutant(
        "a retry sends whatever the source holds",
        "a command that names a few records touches no others",
        (
            Edit(
                "scalesync/flows/imports/run.py",
                "        named = await Named.of(self.ledger, stored, self.plan)\n",
                "        named: Named | None = None\n",
            ),
        ),
        (f"{FLOWS}/test_retry_touches_few.py",),
    ),
    Mutant(
        "a retry of one group sends changed records of others",
        "a command that names a few records touches no others",
        (Edit("scalesync/flows/imports/named.py", "        return row.state in _WAITING\n", "        return True\n"),),
        (f"{FLOWS}/test_retry_touches_few.py",),
    ),
    Mutant(
        "verify believes the readers",
        "verify is an independent witness",
        (
            Edit(
                "scalesync/flows/verify/second_count.py",
                "    if counted.contradicts(read):\n",
                "    if not counted.contradicts(read) and False:\n",
            ),
        ),
        (f"{FLOWS}/test_verify_witness.py",),
    ),
    Mutant(
        "a record that is still to send is not a finding",
        "the same command resumes a run that stopped half way",
        (
            Edit(
                "scalesync/flows/verify/findings.py", "            yield _not_sent(case, row)\n", "            return\n"
            ),
        ),
        (f"{FLOWS}/test_verify.py", "tests/cli/test_kill_fix.py"),
    ),
    Mutant(
        "a task that is listed twice is two",
        "verify lists each task once",
        (Edit("scalesync/flows/verify/strangers.py", "        return sight is Sight.NEW\n", "        return True\n"),),
        (f"{FLOWS}/test_verify_witness.py",),
    ),
    Mutant(
        "a list that shows fewer tasks than it counts is believed",
        "verify is an independent witness",
        (Edit("scalesync/flows/verify/strangers.py", "if not (ended and reading.short):", "if True:"),),
        (f"{FLOWS}/test_lists_that_lie.py",),
    ),
    Mutant(
        "a task that a look-up counts and does not show is absent",
        "one page is not the answer",
        (
            Edit(
                "scalesync/flows/runtime/bulk_lookup.py",
                "return LookupResult(Presence.UNKNOWN) if result.short else result",
                "return result",
            ),
        ),
        (f"{FLOWS}/test_lists_that_lie.py",),
    ),
    Mutant(
        "a count that broke off counts as whole",
        "verify is an independent witness",
        (
            Edit(
                "scalesync/sources/recount/files.py",
                "        return Recount(tally.records, False, tally.how)\n",
                "        return Recount(tally.records, True, tally.how)\n",
            ),
        ),
        ("tests/unit/test_sources_recount.py",),
    ),
    Mutant(
        "a retry finishes a job whose import was stopped",
        "one memory is not the truth",
        (
            Edit(
                "scalesync/flows/imports/named.py",
                "        read = job.complete and same_sources",
                "        read = same_sources",
            ),
        ),
        (f"{FLOWS}/test_retry_touches_few.py",),
    ),
    Mutant(
        "a 5xx is a failure",
        "nothing is lost",
        (
            Edit(
                "scalesync/http/answers.py",
                "if status in NOT_ABOUT_THE_RECORD or not 400 <= status < 500:",
                "if status in NOT_ABOUT_THE_RECORD:",
            ),
        ),
        (f"{FLOWS}/test_import_faults.py",),
    ),
    Mutant(
        "the last group of outcomes is dropped",
        "nothing is lost",
        (
            Edit(
                "scalesync/flows/imports/job_run.py",
                "            await self._outbox.flush()\n        return await self._end(",
                "            pass\n        return await self._end(",
            ),
        ),
        (f"{FLOWS}/test_import_again.py", f"{FLOWS}/test_import_limits.py"),
    ),
    Mutant(
        "the target is left out of the key",
        "everything in the ledger belongs to a target",
        (
            Edit(
                "scalesync/ledger/sqlite/imports/rows.py",
                'f" WHERE target=? AND r.unique_id IN ({marks})",',
                'f" WHERE ?>0 AND r.unique_id IN ({marks})",',
            ),
            Edit(
                "scalesync/ledger/sqlite/imports/rows.py",
                "if fresh and records and _insert(db, place, records, now_ms) == len(records):",
                "if False:",
            ),
        ),
        (f"{FLOWS}/test_import_again.py",),
    ),
    Mutant(
        "duplicates are counted as created",
        "nothing is lost",
        (
            Edit(
                "scalesync/ledger/states.py",
                'RecordState.DUPLICATE: "duplicates"',
                'RecordState.DUPLICATE: "created"',
            ),
        ),
        (f"{FLOWS}/test_import_again.py",),
    ),
    Mutant(
        "rows whose record vanished are dropped",
        "nothing is lost",
        (
            Edit(
                "scalesync/ledger/sqlite/imports/row_counts.py",
                'f"UPDATE rows SET gone={Gone.GONE} WHERE target=? AND unique_id=?", gone',
                '"DELETE FROM rows WHERE target=? AND unique_id=?", gone',
            ),
        ),
        (f"{FLOWS}/test_import_again.py",),
    ),
    Mutant(
        "a source that is gone is not a change",
        "nothing is lost",
        (
            Edit(
                "scalesync/flows/imports/reading/source_changes.py",
                "    if vanished(splits, met, plan.named, bound):\n        return False\n",
                "",
            ),
        ),
        (f"{FLOWS}/test_import_sources.py",),
    ),
    Mutant(
        "a duplicate is settled whatever became of its first record",
        "nothing is lost",
        (
            Edit(
                "scalesync/flows/imports/reading/checkpoints.py",
                "return sight is (Sight.SAME if state is RecordState.DUPLICATE else Sight.OTHER)",
                "return True",
            ),
        ),
        (f"{FLOWS}/test_import_sources.py",),
    ),
    Mutant(
        "what another run named is gone when it is not named",
        "nothing is lost",
        (Edit("scalesync/flows/imports/reading/source_changes.py", "else under in named", "else True"),),
        (f"{FLOWS}/test_import_sources.py",),
    ),
    Mutant(
        "a record leaves no copy where it was named before",
        "nothing is lost",
        (Edit("scalesync/ledger/moves.py", "if known.content != record.content:", "if known.content:"),),
        (f"{FLOWS}/test_import_sources.py",),
    ),
    Mutant(
        "a record that is gone and in doubt is told as superseded without a look",
        "nothing is lost",
        (Edit("scalesync/ledger/states.py", "Gone.GONE: RowState.SENDING", "Gone.GONE: None"),),
        (f"{FLOWS}/test_import_gone.py", "tests/unit/test_ledger_states.py"),
    ),
    Mutant(
        "a task that a record left behind is not counted",
        "nothing is lost",
        (Edit("scalesync/ledger/states.py", "Gone.CREATED: RowState.CREATED", "Gone.CREATED: None"),),
        (f"{FLOWS}/test_import_gone.py", "tests/unit/test_ledger_states.py"),
    ),
    Mutant(
        "a failed record that is gone becomes pending by retry",
        "nothing is lost",
        (Edit("scalesync/ledger/sqlite/imports/row_counts.py", "((job=? AND gone IS NULL) OR", "(job=? OR"),),
        (f"{FLOWS}/test_import_gone.py", "tests/unit/test_ledger_states.py"),
    ),
    Mutant(
        "a row takes what was found out about another record",
        "exactly once",
        (
            Edit(
                "scalesync/ledger/sqlite/imports/outcomes.py",
                "(content=excluded.content OR excluded.content=x'')",
                "TRUE",
            ),
        ),
        ("tests/unit/test_ledger_runs.py::test_whatever_two_or_three_jobs_do_at_once_each_record_ends_as_it_deserves",),
    ),
    Mutant(
        "an outcome against a record beside the row is written to the row",
        "exactly once",
        (
            Edit(
                "scalesync/ledger/effects.py",
                "if not same and row.home and end.state in _AGAINST:",
                "if not same and end.state in _AGAINST:",
            ),
        ),
        ("tests/unit/test_ledger_runs.py::test_whatever_two_or_three_jobs_do_at_once_each_record_ends_as_it_deserves",),
    ),
    Mutant(
        "a late outcome of another job is written to a row with a task",
        "exactly once",
        (Edit("scalesync/ledger/effects.py", "if row.home and row.state in FINAL:", "if row.state in FINAL:"),),
        ("tests/unit/test_ledger_outcomes.py",),
    ),
    Mutant(
        "a lost lease does not stop the writer",
        "exactly once",
        (
            Edit(
                "scalesync/ledger/sqlite/writer.py",
                "None if self._fence is None else self._fence(self._connection)",
                "None",
            ),
        ),
        (f"{FAULTS}/test_promises.py",),
    ),
    Mutant(
        "commits do not wait for the disk",
        "exactly once",
        (Edit("scalesync/ledger/sqlite/connection.py", "PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF"),),
        (f"{FAULTS}/test_order.py",),
    ),
    Mutant(
        "retries do not count for the rate",
        "limits are kept",
        (
            Edit(
                "scalesync/flows/runtime/gate.py",
                "        if quota is None or not quota.counts(cls):\n",
                '        if getattr(self, "_owed", 0) > 0:\n            self._owed -= 1\n'
                "        elif quota is None or not quota.counts(cls):\n",
            ),
            Edit(
                "scalesync/flows/runtime/gate.py",
                "        if quota is not None and quota.counts(cls) and await quota.handover(cls):\n",
                '        if hasattr(self, "_owed"):\n            pass\n'
                "        elif quota is not None and quota.counts(cls) and await quota.handover(cls):\n",
            ),
            Edit(
                "scalesync/flows/runtime/gate.py",
                "            self._pace.report(cls, Signal.TROUBLE, latency_s)\n        else:\n",
                '            self._owed = getattr(self, "_owed", 0) + 1\n'
                "            self._pace.report(cls, Signal.TROUBLE, latency_s)\n        else:\n",
            ),
        ),
        (f"{FLOWS}/test_import_limits.py",),
    ),
    Mutant(
        "a beginning that changed stays unread",
        "nothing is lost",
        (Edit("scalesync/sources/checkpoints.py", "if here.mark() != mark:", "if False:"),),
        (f"{FLOWS}/test_import_checkpoints.py",),
    ),
    Mutant(
        "a block of which some keys are known is taken for new",
        "kill -9 is harmless",
        (
            Edit(
                "scalesync/ledger/sqlite/imports/rows.py",
                "if fresh and records and _insert(db, place, records, now_ms) == len(records):",
                "if fresh and records and _insert(db, place, records, now_ms) >= 0:",
            ),
        ),
        (f"{FAULTS}/test_promises.py", f"{FLOWS}/test_import_again.py"),
    ),
    Mutant(
        "files of a folder share how far one of them was read",
        "nothing is lost",
        (Edit("scalesync/sources/open.py", "    inner = Progress()  #", "    inner = progress  #"),),
        ("tests/unit/test_sources_containers.py",),
    ),
    Mutant(
        "a row of an older version is not recognised",
        "exactly once",
        (Edit("scalesync/mapping/body.py", "if former.key is not None and former.key in known:", "if False:"),),
        ("tests/unit/test_sources_about.py", f"{FLOWS}/test_import_folders.py"),
    ),
    Mutant(
        "what scalesync wrote is read as a source",
        "nothing is lost",
        (
            Edit(
                "scalesync/sources/places/written.py",
                "    return isinstance(value, dict) and all(key in",
                "    return all(key not in",
            ),
        ),
        ("tests/unit/test_sources_passed_over.py",),
    ),
    Mutant(
        "a file that is reached twice is read twice",
        "each file is read once",
        (
            Edit(
                "scalesync/sources/places/passed_over.py",
                "        self._met.add(here)\n        return False\n",
                "        return False\n",
            ),
        ),
        ("tests/unit/test_sources_passed_over.py",),
    ),
)
