"""An export job from its submission to the file on disk, so that a run that was killed continues with the same one.

    submit --> the command's id durable --> poll --> download, with Range where it broke off --> the file's hash durable

If the service no longer has the job, or could not make the file, the run submits another job and a note says so.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio

from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.calls import Caller
from scalesync.errors import BudgetUsed, OutcomeUnknown, Refused, Unavailable
from scalesync.flows.exports.jobs.file_list import LINES, array_as_lines
from scalesync.http.download import Downloader, Stored
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.outputs.writer import clean_parts
from scalesync.ports.platform import CommandState, ExportFile, ExportJobs

SUBMITS = 3  # of one run
POLLS = RetryPolicy(base_s=0.2, cap_s=5.0)
LONGEST_S = 60.0  # between two polls, whatever the service asks for
DOWNLOADS = RetryPolicy(max_attempts=5)  # in a row that brought nothing more of the file

Save = Callable[[JsonObject], Awaitable[None]]


class ExportJob:
    """The export job of one run.

    folder: where the file goes.
    """

    def __init__(
        self, jobs: ExportJobs, call: Caller, downloader: Downloader, folder: Path, note: Callable[[str], None]
    ) -> None:
        self._jobs = jobs
        self._call = call
        self._downloader = downloader
        self._folder = folder
        self._note = note
        self._rng = random.Random()

    async def file(self, asked: Selection, state: JsonObject, save: Save) -> Path:
        """The file, with one document in each line.

        state: the durable state: `command`, the id of the job, and `sha256` of the file that the run reads.
        save: makes a state durable.
        Raises BudgetUsed if the service makes no file, DiskFull, and what a call raises.
        """
        await anyio.to_thread.run_sync(clean_parts, self._folder)
        kept = self._kept(state.get("sha256", ""))
        if kept is not None:
            return kept
        command: str | None = state.get("command")
        rest = {name: value for name, value in state.items() if name != "command"}
        for _ in range(SUBMITS):
            if command is None:
                command = await self._call(partial(self._jobs.submit, asked))
                await save(rest | {"command": command})
            stored = await self._stored(command)
            if stored is not None:
                return stored
            command = None
            await save(rest)
        raise BudgetUsed(f"the service made no export in {SUBMITS} attempts; run the same command again later")

    def _kept(self, digest: str) -> Path | None:
        """The complete file of an earlier, killed run; None if there is none."""
        found = self._folder / digest[:2] / digest
        if not digest or not found.is_file():
            return None
        lines = found.with_name(found.name + LINES)
        return lines if lines.is_file() else found

    async def _stored(self, command: str) -> Path | None:
        """The file of a command; None, after a note, if there is none.

        After a refused download it polls again for a new address, because links and tokens expire.
        """
        failed = ""
        for _ in range(2):
            failed = await self._wait(command)
            if failed:
                break
            file = await self._call(partial(self._jobs.file, command))
            try:
                path = self._folder.parent / (await self._download(file)).path
                return await anyio.to_thread.run_sync(array_as_lines, path) if file.array else path
            except Refused as error:
                failed = str(error)
            except OutcomeUnknown as error:
                failed = str(error)
                break
        self._note(f"the export job {command} is of no use: {failed}; asking for another one")
        return None

    async def _wait(self, command: str) -> str:
        """Poll until the job is done. Returns "", or why it will never be done."""
        attempt = 0
        while True:
            status = await self._call(partial(self._jobs.status, command))
            if status is None:
                return "the service no longer has it"
            if status.state is CommandState.FAILED:
                return f"the service says {status.message!r}" if status.message else "the service says that it failed"
            if status.state is CommandState.DONE:
                return ""
            attempt += 1
            asked_s = POLLS.wait_s(attempt, self._rng) if status.after_s is None else status.after_s
            await anyio.sleep(min(asked_s, LONGEST_S))

    async def _download(self, file: ExportFile) -> Stored:
        attempt = 0
        async with self._downloader.partial() as part:
            while True:
                attempt += 1
                before = part.furthest
                try:
                    return await self._downloader.fetch(file.url, part, headers=file.headers)
                except (OutcomeUnknown, Unavailable) as error:
                    attempt = 1 if part.furthest > before else attempt
                    if not DOWNLOADS.may_retry(attempt):
                        raise BudgetUsed(f"gave up the download of the export file: {error}") from error
                    await anyio.sleep(error.retry_after_s or DOWNLOADS.wait_s(attempt, self._rng))
