"""The jobs of a target that fill a batch, and their records that are not in it yet.

A batch can be closed only once, for all jobs that fill it. So whether all records are in is a question to the whole
target: to its rows, whose content names the batch, and to its jobs that have not read their input to the end.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from scalesync.ledger.sqlite.owners import owner_alive
from scalesync.ledger.sqlite.views import SHARING, SHOWN
from scalesync.model.contents import HASH_BYTES
from scalesync.model.jobs import Feeder

# A row whose record is gone never becomes a task, unless a request for it may be under way.
_ROWS = f"""
SELECT r.job, r.source, CAST(substr(r.content, {HASH_BYTES + 1}) AS TEXT),
       sum(r.state NOT IN ('created', 'adopted') AND (r.gone IS NULL OR (r.state='sending' AND r.gone=1)))
  FROM rows r WHERE r.target=? AND length(r.content) > {HASH_BYTES} GROUP BY 1, 2, 3
"""
_OTHERS = f"""
SELECT o.job, o.source, CAST(substr(o.content, {HASH_BYTES + 1}) AS TEXT),
       sum({SHOWN} NOT IN ('created', 'adopted'))
  FROM other_records o JOIN jobs j ON j.id=o.job
  LEFT JOIN rows r ON r.target=j.target AND r.unique_id=o.unique_id
 WHERE j.target=? AND o.{SHARING} AND length(o.content) > {HASH_BYTES} GROUP BY 1, 2, 3
"""
_JOBS = """
SELECT j.id, j.name, j.identity, j.owner,
       (SELECT count(*) FROM splits s WHERE s.job=j.id AND s.kind='source'),
       (SELECT count(*) FROM splits s WHERE s.job=j.id AND s.kind='source' AND s.state='open'),
       (SELECT count(*) FROM other_records o WHERE o.job=j.id AND o.state IN ('invalid', 'clash'))
  FROM jobs j WHERE j.target=? AND j.command='import'
"""


def owing(
    db: sqlite3.Connection, target: int, own: int, batches: Collection[str], read: Collection[int]
) -> dict[str, list[Feeder]]:
    """The jobs that still owe records to each of these batches.

    own: the job that asks.
    read: the splits that it has just read to their end. Only its other splits count here, because the run knows more
        about those that it read.
    """
    out: dict[tuple[int, str], int] = {}
    for query in (_ROWS, _OTHERS):
        for job, source, batch, number in db.execute(query, (target,)):
            if batch in batches and not (job == own and source in read):
                out[job, batch] = out.get((job, batch), 0) + number
    owing: dict[str, list[Feeder]] = {}
    for job, name, identity, owner, splits, unread, unusable in db.execute(_JOBS, (target,)).fetchall():
        one_batch = json.loads(identity).get("batch")
        for batch in batches:
            if (job, batch) not in out and (batch != one_batch or job == own):
                continue
            running = job != own and bool(owner) and owner_alive(owner)
            feeder = Feeder(
                name,
                out=out.get((job, batch), 0),
                unusable=unusable if batch == one_batch and job != own else 0,
                unread=running or (job != own and (not splits or unread > 0)),
                running=running,
            )
            if feeder.out or feeder.unusable or feeder.unread:
                owing.setdefault(batch, []).append(feeder)
    return owing
