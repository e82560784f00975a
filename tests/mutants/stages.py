"""Mutants of what is delivered apart: stages of tasks."""

from __future__ import annotations

from tests.mutants.model import FAULTS, FLOWS, Edit, Mutant

DELIVERED = "each delivery of a stage is in one line"
_STAGES = (f"{FLOWS}/test_export_stages.py", f"{FAULTS}/test_stage_kills.py")


def _stages(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(name, DELIVERED, (Edit(f"scalesync/flows/exports/{file}", old, new),), _STAGES)


STAGE_MUTANTS = (
    _stages(
        "a delivery that was written is not remembered",
        "parts.py",
        "                entry.parts.setdefault(ref, {})[part.name] = part.at\n",
        "",
    ),
    _stages(
        "a correction counts as written",
        "parts.py",
        "if before is None or _is_newer(part.at, before):",
        "if before is None:",
    ),
    _stages(
        "--again keeps no deliveries",
        "folder/finished.py",
        "    there = manifest or folder.manifest\n",
        "    there = manifest\n",
    ),
    _stages(
        "a run that starts over does not read the deliveries back",
        "recall.py",
        "            await recall_parts(self._job, folder.path, files)\n",
        "            await self._job.forget_parts()\n",
    ),
    _stages(
        "compact keeps the first delivery that comes",
        "compact/source_lines.py",
        'f"\\0{line.task_id}\\0{line.stage}"',
        'f"\\0{line.task_id}\\0{line.stage}\\0{line.delivered_at}"',
    ),
)
