"""Mutants of the export: files, their order, their completeness."""

from __future__ import annotations

from tests.mutants.model import FAULTS, FLOWS, Edit, Mutant

EXPORT_MUTANTS = (
    Mutant(
        "a data file is not synced before it gets its name",
        "exports are complete",
        (
            Edit(
                "scalesync/records/segments.py",
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
                "scalesync/records/manifest.py",
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
                "scalesync/platforms/partial.py",
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
                "scalesync/flows/export.py",
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
                "scalesync/flows/output.py",
                "        parts = await anyio.to_thread.run_sync(self._sync_files)\n",
                "        await self._commit()\n        parts = await anyio.to_thread.run_sync(self._sync_files)\n",
            ),
            Edit(
                "scalesync/flows/output.py",
                "        finished = await anyio.to_thread.run_sync(self._finish_files)\n",
                "        await self._commit()\n        finished = await anyio.to_thread.run_sync(self._finish_files)\n",
            ),
        ),
        (f"{FAULTS}/test_kills.py",),
    ),
    Mutant(
        "a result file that was cut is kept",
        "exports are complete",
        (
            Edit(
                "scalesync/platforms/download.py",
                "        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:\n"
                "            self._gate.unanswered(FILES",
                "        except aiohttp.ClientPayloadError:\n            return None\n"
                "        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:\n"
                "            self._gate.unanswered(FILES",
            ),
            Edit(
                "scalesync/platforms/partial.py",
                "if self._total is not None and self.size != self._total:",
                "if False:",
            ),
        ),
        (f"{FLOWS}/test_export.py",),
    ),
)
