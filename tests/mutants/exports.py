"""Mutants of the export: files, their order, their completeness."""

from __future__ import annotations

from tests.mutants.model import FAULTS, FLOWS, Edit, Mutant

LAYOUT = "a folder that other programs read as a whole"
LAID_OUT = (f"{FLOWS}/test_export_layout.py",)


def _layout(name: str, file: str, old: str, new: str, first: tuple[str, ...] = LAID_OUT) -> Mutant:
    return Mutant(name, LAYOUT, (Edit(f"scalesync/{file}", old, new),), first)


EXPORT_MUTANTS = (
    Mutant(
        "the rest of a file that is called the whole is stored as the whole",
        "result files are whole or not there",
        (
            Edit(
                "scalesync/http/partial_file.py",
                'rest = match is not None and match[1] != "0"',
                "rest = False and match is not None",
            ),
        ),
        (f"{FLOWS}/test_results.py",),
    ),
    Mutant(
        "a data file is not synced before it gets its name",
        "exports are complete",
        (
            Edit(
                "scalesync/outputs/writer.py",
                "        self._file.flush()\n        os.fsync(self._file.fileno())\n",
                "        self._file.flush()\n",
            ),
        ),
        (f"{FAULTS}/test_order.py",),
    ),
    Mutant(
        "the manifest is not synced before it gets its name",
        "exports are complete",
        (
            Edit(
                "scalesync/outputs/manifest.py",
                "                file.flush()\n                os.fsync(file.fileno())\n",
                "                file.flush()\n",
            ),
        ),
        (f"{FAULTS}/test_order.py",),
    ),
    Mutant(
        "names of result files are not made durable",
        "exports are complete",
        (
            Edit(
                "scalesync/http/partial_file.py",
                "            os.replace(path, final)\n            sync_folder(folder)\n",
                "            os.replace(path, final)\n",
            ),
        ),
        (f"{FAULTS}/test_order.py",),
    ),
    Mutant(
        "the manifest comes before its last files",
        "exports are complete",
        (
            Edit(
                "scalesync/flows/exports/job_run.py",
                "                await plan.log.close()\n            except BaseException:\n",
                "            except BaseException:\n",
            ),
        ),
        (f"{FLOWS}/test_export.py",),
    ),
    Mutant(
        "the cursor is durable before the lines of its page",
        "kill -9 is harmless",
        (
            Edit(
                "scalesync/flows/exports/folder/commit_log.py",
                "        parts = await anyio.to_thread.run_sync(self._sync_files)\n",
                "        await self._commit()\n        parts = await anyio.to_thread.run_sync(self._sync_files)\n",
            ),
            Edit(
                "scalesync/flows/exports/folder/commit_log.py",
                "        finished = await anyio.to_thread.run_sync(self._finish_files)\n",
                "        await self._commit()\n        finished = await anyio.to_thread.run_sync(self._finish_files)\n",
            ),
        ),
        (f"{FAULTS}/test_order.py",),
    ),
    Mutant(
        "a result file that was cut is kept",
        "exports are complete",
        (
            Edit(
                "scalesync/http/download.py",
                "        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:\n"
                "            self._gate.unanswered(FILES",
                "        except aiohttp.ClientPayloadError:\n            return None\n"
                "        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:\n"
                "            self._gate.unanswered(FILES",
            ),
            Edit(
                "scalesync/http/partial_file.py",
                "if self._total is not None and self.size != self._total:",
                "if False:",
            ),
        ),
        (f"{FLOWS}/test_export.py",),
    ),
    Mutant(
        "what was listed is compared with the total, repeats included",
        "exports are complete",
        (
            Edit(
                "scalesync/engine/partitions.py",
                "self.different in {self.first_total, self.last_total}",
                "self.listed in {self.first_total, self.last_total}",
            ),
        ),
        (f"{FLOWS}/test_export_lies.py",),
    ),
    Mutant(
        "only the page before is known when a task comes again",
        "exports are complete",
        (
            Edit(
                "scalesync/flows/exports/chains/recollection.py",
                "        sights = met.meet(refs, partition.readings)\n",
                "        sights = met.meet(refs, partition.readings)\n"
                "        self._met[partition.number] = Sightings()\n"
                "        self._met[partition.number].add(refs, partition.readings)\n",
            ),
        ),
        (f"{FLOWS}/test_export_lies.py",),
    ),
    Mutant(
        "a resumed chain forgets what the run before wrote",
        "kill -9 is harmless",
        (
            Edit(
                "scalesync/flows/exports/chains/recollection.py",
                "await self._remember() if late and partition.readings == 1 else True",
                "True",
            ),
        ),
        (f"{FLOWS}/test_export_lies.py",),
    ),
    Mutant(
        "a page of other tasks is taken for an answer",
        "exports are complete",
        (
            Edit(
                "scalesync/flows/runtime/trust.py",
                "            if reported is not None and reported != wanted:\n",
                "            if False:\n",
            ),
        ),
        (f"{FLOWS}/test_export_lies.py",),
    ),
    Mutant(
        "tasks that did not change are an increment's all the same",
        "increments add up",
        (Edit("scalesync/flows/runtime/trust.py", "        if 0 < updated_ms < since - 1:\n", "        if False:\n"),),
        (f"{FLOWS}/test_lists_that_lie.py",),
    ),
    Mutant(
        "an increment forgets where an unsettled one began",
        "increments add up",
        (
            Edit(
                "scalesync/flows/exports/plan.py",
                '    if not manifest.extra.get("unsettled"):\n',
                "    if True:\n",
            ),
        ),
        (f"{FLOWS}/test_export_lies.py",),
    ),
    Mutant(
        "versions count although a run without them committed the folder",
        "increments add up",
        (
            Edit(
                "scalesync/flows/exports/folder/manifests.py",
                'return bool(plan["form"]["incremental"]) and is_of(manifest, plan)',
                "return is_of(manifest, plan)",
            ),
        ),
        (f"{FLOWS}/test_increments_memory.py",),
    ),
    Mutant(
        "a stopped increment goes on behind another state of the folder",
        "increments add up",
        (
            Edit(
                "scalesync/flows/exports/folder/manifests.py",
                'return plan.get("behind", name_of(manifest)) == name_of(manifest) or is_of(manifest, plan)',
                "return True",
            ),
        ),
        (f"{FLOWS}/test_increments_memory.py",),
    ),
    # --- the folder tasks/
    _layout(
        "data files lie beside the manifest",
        "outputs/manifest.py",
        '    return TASKS if manifest is None or manifest.extra.get(LAYOUT) else ""\n',
        '    return TASKS if manifest is not None and manifest.extra.get(LAYOUT) else ""\n',
    ),
    _layout(
        "a folder that an older version began gets a second place for data files",
        "outputs/manifest.py",
        '    return TASKS if manifest is None or manifest.extra.get(LAYOUT) else ""\n',
        "    return TASKS\n",
    ),
    _layout(
        "an increment forgets where the folder's data files lie",
        "flows/exports/folder/export_folder.py",
        "            manifest.extra[LAYOUT] = 1\n",
        "            pass\n",
    ),
    _layout(
        "lists of tasks that left lie among the tasks",
        "flows/exports/plan.py",
        'writers["left"] = SegmentWriter(folder.path, "left", placing=Placing(first["left"]))',
        'writers["left"] = SegmentWriter(\n'
        '            folder.path, "left", placing=Placing(first["left"], under=TASKS if layout else "")\n'
        "        )",
    ),
    _layout(
        "times and tags in Parquet are text",
        "flows/exports/plan.py",
        "        typed=layout,\n",
        "        typed=False,\n",
    ),
    _layout(
        "a compacted folder has no folder for its tasks",
        "flows/exports/compact/run.py",
        "        under = under_of(manifest)\n",
        '        under = ""\n',
        (f"{FLOWS}/test_compact.py",),
    ),
    _layout(
        "result files of a new folder have no ending",
        "flows/exports/job_run.py",
        "        suffix = bool(under_of(folder.manifest))\n",
        "        suffix = folder.manifest is not None\n",
        (f"{FLOWS}/test_results.py",),
    ),
    _layout(
        "names in tasks/ are not made durable",
        "outputs/writer.py",
        "            os.rename(self._part, final)\n            sync_folder(final.parent)\n",
        "            os.rename(self._part, final)\n            sync_folder(self._folder)\n",
        (f"{FAULTS}/test_order.py",),
    ),
    _layout(
        "the name tasks/ is not made durable",
        "outputs/writer.py",
        "                final.parent.mkdir()\n                sync_folder(self._folder)\n",
        "                final.parent.mkdir()\n",
        (f"{FAULTS}/test_order.py",),
    ),
    _layout(
        "data files in tasks/ that nobody recorded stay",
        "outputs/manifest.py",
        "    for name in (*_names_in(folder), *inside):\n",
        "    for name in _names_in(folder):\n",
        ("tests/unit/test_output_manifest.py",),
    ),
    _layout(
        "foreign files in tasks/ are taken for part of the export",
        "outputs/manifest.py",
        "    if TASKS in names and (begun or manifest is not None):\n",
        "    if TASKS in names and begun and manifest is None:\n",
        ("tests/unit/test_output_manifest.py",),
    ),
    Mutant(
        "a list without totals is believed at its first end",
        "exports are complete",
        (
            Edit(
                "scalesync/engine/partitions.py",
                "        self.behind = self.at\n        self.ended = False\n        return True\n",
                "        return False\n",
            ),
        ),
        (f"{FLOWS}/test_export_axes.py",),
    ),
    Mutant(
        "an export job is polled before its id is durable",
        "kill -9 is harmless",
        (
            Edit(
                "scalesync/flows/exports/jobs/command.py",
                '                await save(rest | {"command": command})\n',
                "                await anyio.sleep(0)\n",
            ),
        ),
        (f"{FLOWS}/test_export_jobs.py",),
    ),
    Mutant(
        "another export file is read from where the first one was left",
        "exports are complete",
        (
            Edit(
                "scalesync/flows/exports/jobs/feed.py",
                "                partition.restart()\n",
                "                partition.ended = False\n",
            ),
        ),
        (f"{FLOWS}/test_export_jobs.py",),
    ),
    Mutant(
        "an increment that reads everything takes every version for a new one",
        "increments add up",
        (
            Edit(
                "scalesync/flows/exports/select.py",
                "if before is not None and (version == before.updated_ms or",
                "if before is not None and (",
            ),
        ),
        (f"{FLOWS}/test_export_axes.py",),
    ),
)
