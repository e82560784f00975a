"""Tables and migrations of the ledger, applied through sqlite-utils.

    targets 1--n jobs 1--n runs          a job is leased by one run at a time (owner, lease_until_ms, epoch)
       |          +--1--n splits         parts of a job's work: source files, export partitions; leased the same way
       |          +--1--n other_records  records without a home row: duplicate, clash, invalid, shared, changed
       |          +--1--n changes        what `apply` does to a task or batch each, and its outcome
       +--1--n rows                      one per unique_id; home job, place in its source, state, task_id
       +--1--n events                    history of everything out of the ordinary
       +--1--n batches, learned          batches seen; fields the server rewrites
       +--1--n chunks                    requests under way that must not be repeated at once
       +--1--n acceptances               records that differ from the row's task, and accept it
       +--1--n paces                     limits that were found, by class of requests
       +--1--n files, versions           an export's files; the newest version of each task that it met
       +--1--n parts                     the newest delivery of each part of a task that it wrote

docs/ledger.md describes every column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalesync.ledger.sqlite import former_homes
from scalesync.ledger.sqlite.views import JOB_RECORDS, SHARING

if TYPE_CHECKING:
    from scalesync.ledger.sqlite.tools import Database, Migrations

SET, TABLE = "scalesync", "_sqlite_migrations"  # our set, in the table of sqlite-utils


def m001_first(db: Database) -> None:
    """Everything the first release needs."""
    for statement in _FIRST.split(";\n"):
        if statement.strip():
            db.execute(statement)


def m002_paces(db: Database) -> None:
    """Add the learned limits of a target."""
    db.execute(_PACES)


def m003_other_contents(db: Database) -> None:
    """What a record without a row of its own holds, and in what it differs from the task."""
    db.execute("ALTER TABLE other_records ADD COLUMN detail TEXT")
    db.execute("ALTER TABLE other_records ADD COLUMN content BLOB")
    db.execute(f"CREATE INDEX shared_records ON other_records (unique_id) WHERE {SHARING}")


def m004_superseded(db: Database) -> None:
    """Show records that are gone and never became a task as gone."""
    db.execute("DROP VIEW job_records")
    db.execute(JOB_RECORDS)


def m005_run_messages(db: Database) -> None:
    """Add the last sentence of a run."""
    db.execute("ALTER TABLE runs ADD COLUMN message TEXT")


def m006_acceptances(db: Database) -> None:
    """Add records that accept the task of their row, although it was made for another content."""
    db.execute(_ACCEPTANCES)
    db.execute("DROP VIEW job_records")
    db.execute(JOB_RECORDS)


def m007_platforms(db: Database) -> None:
    """Targets of several platforms, and of the namespaces within which a key is unique.

    A table's uniqueness cannot be altered, so it is made again under its name; what refers to it stays as it is.
    """
    targets = db.execute("SELECT id, base_url, mode, account, created_at FROM targets").fetchall()
    db.execute("DROP TABLE targets")
    db.execute(_TARGETS)
    for number, *key, created_at in targets:
        db.execute("INSERT INTO targets VALUES (?, 'scale', ?, ?, ?, '', ?)", (number, *key, created_at))


def m008_chunks(db: Database) -> None:
    """Add open requests, whose records must not be sent a second time meanwhile."""
    db.execute(_CHUNKS)


def m009_relative_sources(db: Database) -> None:
    """Sources beneath the ledger's folder are kept relative to it, so that they move and are copied with it."""
    former_homes.shorten(db)


def m010_terms(db: Database) -> None:
    """In what a task differed that was accepted."""
    db.execute("ALTER TABLE acceptances ADD COLUMN terms TEXT")


def m011_parts(db: Database) -> None:
    """Add the parts of tasks that were delivered apart, such as stages."""
    db.execute(_PARTS)


def m012_changes(db: Database) -> None:
    """Add changes of many tasks or batches. Some of their rows are in no source, which the view must not confuse."""
    db.execute(_CHANGES)
    db.execute("CREATE INDEX change_keys ON changes (job, unique_id) WHERE unique_id IS NOT NULL")
    db.execute("DROP VIEW job_records")
    db.execute(JOB_RECORDS)


# Columns that may be long come last: what counts or searches states does not read their pages.
_CHANGES = """
CREATE TABLE changes (
  job INTEGER NOT NULL REFERENCES jobs(id),
  ref TEXT NOT NULL,
  state TEXT NOT NULL,
  source INTEGER NOT NULL,
  line INTEGER NOT NULL,
  run INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  status INTEGER,
  unique_id TEXT,
  reason TEXT,
  arguments TEXT NOT NULL,
  expected TEXT,
  asked TEXT,
  asked_expected TEXT,
  PRIMARY KEY (job, ref)
) WITHOUT ROWID
"""

_PARTS = """
CREATE TABLE parts (
  job INTEGER NOT NULL REFERENCES jobs(id),
  task_id TEXT NOT NULL,
  part TEXT NOT NULL,
  delivered_at TEXT NOT NULL,
  PRIMARY KEY (job, task_id, part)
) WITHOUT ROWID
"""

# keys: a JSON array of unique_ids.
_CHUNKS = """
CREATE TABLE chunks (
  target INTEGER NOT NULL REFERENCES targets(id),
  number INTEGER NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs(id),
  sent_ms INTEGER NOT NULL,
  given_up_ms INTEGER,
  command TEXT,
  keys TEXT NOT NULL,
  PRIMARY KEY (target, number)
)
"""

_TARGETS = """
CREATE TABLE targets (
  id INTEGER PRIMARY KEY,
  platform TEXT NOT NULL,
  base_url TEXT NOT NULL,
  mode TEXT NOT NULL,
  account TEXT NOT NULL,
  namespace TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (platform, base_url, mode, account, namespace)
)
"""

# task_id: of the row when its task was accepted; another task is another question.
_ACCEPTANCES = """
CREATE TABLE acceptances (
  job INTEGER NOT NULL REFERENCES jobs(id),
  unique_id TEXT NOT NULL,
  content BLOB NOT NULL,
  task_id TEXT,
  PRIMARY KEY (job, unique_id)
) WITHOUT ROWID
"""

_PACES = """
CREATE TABLE paces (
  target INTEGER NOT NULL REFERENCES targets(id),
  class TEXT NOT NULL,
  learned TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (target, class)
)
"""

_FIRST = """
CREATE TABLE targets (
  id INTEGER PRIMARY KEY,
  base_url TEXT NOT NULL,
  mode TEXT NOT NULL,
  account TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (base_url, mode, account)
);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  target INTEGER NOT NULL REFERENCES targets(id),
  name TEXT NOT NULL,
  command TEXT NOT NULL,
  identity TEXT NOT NULL,
  settings TEXT NOT NULL,
  created_at TEXT NOT NULL,
  complete INTEGER NOT NULL DEFAULT 0,
  owner TEXT,
  lease_until_ms INTEGER,
  epoch INTEGER NOT NULL DEFAULT 0,
  UNIQUE (target, name)
);
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs(id),
  epoch INTEGER NOT NULL,
  owner TEXT NOT NULL,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  exit_code INTEGER,
  figures TEXT
);
CREATE TABLE splits (
  job INTEGER NOT NULL REFERENCES jobs(id),
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  spec TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'open',
  owner TEXT,
  lease_until_ms INTEGER,
  epoch INTEGER NOT NULL DEFAULT 0,
  cursor TEXT,
  PRIMARY KEY (job, number),
  UNIQUE (job, kind, name)
);
CREATE TABLE rows (
  target INTEGER NOT NULL REFERENCES targets(id),
  unique_id TEXT NOT NULL,
  state TEXT NOT NULL,
  task_id TEXT,
  job INTEGER NOT NULL REFERENCES jobs(id),
  source INTEGER NOT NULL,
  line INTEGER NOT NULL,
  content BLOB NOT NULL,
  intent_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  status INTEGER,
  reason TEXT,
  detail TEXT,
  gone INTEGER,
  PRIMARY KEY (target, unique_id)
) WITHOUT ROWID;
CREATE TABLE other_records (
  job INTEGER NOT NULL REFERENCES jobs(id),
  source INTEGER NOT NULL,
  line INTEGER NOT NULL,
  state TEXT NOT NULL,
  unique_id TEXT,
  reason TEXT,
  raw TEXT,
  run INTEGER NOT NULL,
  PRIMARY KEY (job, source, line)
) WITHOUT ROWID;
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  run INTEGER NOT NULL REFERENCES runs(id),
  target INTEGER NOT NULL REFERENCES targets(id),
  unique_id TEXT,
  event TEXT NOT NULL,
  detail TEXT
);
CREATE TABLE batches (
  target INTEGER NOT NULL REFERENCES targets(id),
  name TEXT NOT NULL,
  project TEXT,
  created_by INTEGER REFERENCES jobs(id),
  finalized_at TEXT,
  PRIMARY KEY (target, name)
);
CREATE TABLE learned (
  job INTEGER NOT NULL REFERENCES jobs(id),
  topic TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (job, topic, value)
);
CREATE TABLE files (
  job INTEGER NOT NULL REFERENCES jobs(id),
  path TEXT NOT NULL,
  split INTEGER NOT NULL,
  kind TEXT NOT NULL,
  entry TEXT NOT NULL,
  PRIMARY KEY (job, path)
);
CREATE TABLE versions (
  job INTEGER NOT NULL REFERENCES jobs(id),
  task_id TEXT NOT NULL,
  updated_ms INTEGER NOT NULL,
  matched INTEGER NOT NULL,
  PRIMARY KEY (job, task_id)
) WITHOUT ROWID;
CREATE VIEW job_records AS
  SELECT j.name AS job, t.mode, r.state, r.unique_id, r.task_id, s.name AS file, r.line, r.status, r.reason, r.gone
    FROM rows r JOIN jobs j ON j.id = r.job JOIN targets t ON t.id = j.target
    LEFT JOIN splits s ON s.job = r.job AND s.number = r.source
  UNION ALL
  SELECT j.name, t.mode, CASE o.state WHEN 'shared' THEN r.state ELSE o.state END, o.unique_id, r.task_id, s.name,
         o.line, CASE o.state WHEN 'shared' THEN r.status END,
         CASE o.state WHEN 'shared' THEN r.reason ELSE o.reason END, NULL
    FROM other_records o JOIN jobs j ON j.id = o.job JOIN targets t ON t.id = j.target
    LEFT JOIN rows r ON r.target = j.target AND r.unique_id = o.unique_id
    LEFT JOIN splits s ON s.job = o.job AND s.number = o.source;
CREATE VIEW job_summary AS
  SELECT job, mode, state, count(*) AS records FROM job_records GROUP BY job, mode, state
"""


# Every migration, in the order in which they were made.
STEPS = (
    m001_first,
    m002_paces,
    m003_other_contents,
    m004_superseded,
    m005_run_messages,
    m006_acceptances,
    m007_platforms,
    m008_chunks,
    m009_relative_sources,
    m010_terms,
    m011_parts,
    m012_changes,
)


def migrations() -> Migrations:
    """Every migration, for sqlite-utils to apply. A ledger that is up to date needs none of its modules."""
    from scalesync.ledger.sqlite.tools import Migrations  # noqa: PLC0415  3 MB, and 0.06 s of each start

    steps = Migrations(SET)
    for step in STEPS:
        steps()(step)
    return steps
