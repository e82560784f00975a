"""Mutants of exports of what was delivered: lists that hold a task once for each of its versions."""

from __future__ import annotations

from tests.mutants.model import Edit, Mutant

NEWEST = "an export holds each delivered task once, in its newest version"
WHOLE = "a delivery that came in part is noticed"
KEY = "the key goes to the API alone"
DELIVERIES = ("tests/platforms/test_deliveries.py",)
FILES = ("tests/platforms/test_answer_files.py",)
V2 = "platforms/scale/v2"


def _mutant(promise: str, name: str, file: str, old: str, new: str, first: tuple[str, ...] = DELIVERIES) -> Mutant:
    return Mutant(name, promise, (Edit(f"scalesync/{file}", old, new),), first)


VERSION_MUTANTS = (
    _mutant(
        NEWEST,
        "several deliveries are read at once",
        "flows/exports/chains/reader.py",
        "            return 1  # the newer version",
        "            pass  # the newer version",
    ),
    _mutant(
        NEWEST,
        "a delivery is read again behind the older ones",
        "flows/exports/chains/reader.py",
        "self._queue.appendleft(again)",
        "self._queue.append(again)",
    ),
    _mutant(
        NEWEST,
        "a full export takes each version",
        "flows/exports/job_run.py",
        "if lister.axis is not Axis.VERSIONS:",
        "if lister is not None:",
    ),
    _mutant(
        NEWEST,
        "versions of a file that is not durable yet are forgotten",
        "flows/exports/folder/commit_log.py",
        "**{ref: held[ref] for ref in refs if ref in held}",
        "**{ref: held[ref] for ref in refs if ref in ()}",
    ),
    _mutant(
        NEWEST,
        "deliveries that nobody has begun are forgotten by a run that stops",
        "flows/exports/job_run.py",
        "if plan.fresh and len(plan.partitions) > 1:",
        "if plan.fresh and not plan.partitions:",
    ),
    _mutant(
        NEWEST,
        "a task whose own time differs is not of its delivery",
        f"{V2}/deliveries.py",
        'return self._times.get(task.get("delivery"), task.times()["updated"])',
        'return task.times()["updated"]',
    ),
    _mutant(
        WHOLE,
        "deliveries are not counted apart",
        f"{V2}/deliveries.py",
        "cuts=times[1:]",
        "cuts=times[:0]",
    ),
    _mutant(
        WHOLE,
        "a page of another delivery counts",
        f"{V2}/deliveries.py",
        "            if theirs != place.delivery.id:\n",
        "            if theirs is None:\n",
    ),
    _mutant(
        WHOLE,
        "the counts of deliveries with tasks in common are added",
        f"{V2}/deliveries.py",
        "total = left[0].count if last is None and len(left) == 1 else None",
        "total = sum(one.count or 0 for one in left)",
    ),
    _mutant(
        NEWEST,
        "the second of two deliveries in one millisecond is left out",
        f"{V2}/deliveries.py",
        "        elif place.more:\n",
        "        elif place.more is None:\n",
    ),
    _mutant(
        KEY,
        "a host whose address looks like that of the API gets the key",
        "flows/runtime/wiring.py",
        "if not pattern or not url.startswith(root) or re.fullmatch(pattern, url.removeprefix(root)) is None:",
        "if not pattern or re.search(pattern, url) is None:",
        FILES,
    ),
    _mutant(
        "an increment brings what changed",
        "a link that was signed again is a change",
        f"{V2}/lists.py",
        "            if _SIGNED.search(query):\n",
        "            if not query:\n",
        FILES,
    ),
)
