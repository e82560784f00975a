"""What an export reads in place of lists: the file of one export job."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial

import anyio

from scalesync.engine.partitions import Partition
from scalesync.errors import ConfigError
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.jobs.command import ExportJob
from scalesync.flows.exports.jobs.file_list import LINES, FileLists
from scalesync.flows.exports.plan import ExportPlan
from scalesync.flows.runtime.wiring import Connection
from scalesync.http.download import Downloader
from scalesync.model.exports import Commit
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.ports.export_ledger import ExportLedger

FOLDER = ".export"  # in that of the export, hidden: what is in it is not data
JOB = "job"


class JobFeed:
    """The file of one run's export job.

    lister: reads it, once `prepare` is done.
    """

    def __init__(
        self, connection: Connection, folder: Folder, store: ExportLedger, note: Callable[[str], None]
    ) -> None:
        platform = connection.platform
        if platform.export_jobs is None:
            raise ConfigError(f"{platform.spec.title} makes no export files; use --via pages")
        self._jobs = platform.export_jobs
        self._connection = connection
        self._folder = folder.path / FOLDER
        self._store = store
        self._note = note
        self._state: JsonObject = {}
        self._plan: ExportPlan | None = None
        self.lister = FileLists(self._jobs, platform.lister, platform.spec.view, self._forget)

    def progress(self) -> JsonObject:
        """The durable state of the job, stored with the run."""
        return {JOB: self._state} if self._state else {}

    async def prepare(self, plan: ExportPlan, asked: Selection) -> None:
        """Get the file, and set each partition to its place in it. A resumed run continues the job of the run before.

        Raises BudgetUsed if the service makes no file, DiskFull, and what a call raises.
        """
        self._plan, self._state = plan, plan.figures.get(JOB, {})
        if all(partition.done for partition in plan.partitions):
            return
        if plan.fresh:
            await self.remove()
        self._folder.mkdir(exist_ok=True)
        gate, call, allow_http = self._connection.gate, self._connection.call, self._connection.way.allow_http
        async with Downloader(self._folder, gate, allow_http=allow_http) as downloader:
            job = ExportJob(self._jobs, call, downloader, self._folder, self._note)
            # with the partitions: a run without partitions in the ledger would start over with another job
            path = await job.file(asked, self._state, partial(self._save, partitions=plan.partitions))
        digest = path.name.removesuffix(LINES)
        if self._state.get("sha256") != digest:
            for partition in plan.partitions:
                partition.restart()
            await self._save({**self._state, "sha256": digest}, plan.partitions)
        self.lister.path = path

    async def remove(self) -> None:
        """Remove the file, which serves only one run."""
        await anyio.to_thread.run_sync(partial(shutil.rmtree, self._folder, ignore_errors=True))

    async def _forget(self) -> None:
        """Forget the job, so the next run submits another one."""
        await self._save({})

    async def _save(self, state: JsonObject, partitions: Iterable[Partition] = ()) -> None:
        assert self._plan is not None, "a job belongs to a plan"
        self._state = state
        states = {partition.number: partition.state() for partition in partitions}
        await self._store.commit(Commit(partitions=states, plan=self._plan.log.progress()))
