"""Views of the ledger: the shown state of a record, in SQL the same as in `ledger.states`."""

from __future__ import annotations

# The state of an other record `o` beside the row `r` of its key. A shared record has the state of the row while the row
# holds its content, or if it accepted the row's task (`states.shared_state`).
_ACCEPTED = """EXISTS (SELECT 1 FROM acceptances a WHERE a.job = o.job AND a.unique_id = o.unique_id
    AND a.task_id IS r.task_id
    AND (a.content = o.content OR (length(o.content) = 16 AND substr(a.content, 1, 16) = o.content)))"""
SHOWN = f"""CASE
  WHEN o.state <> 'shared' OR o.content IS NULL THEN coalesce(nullif(o.state, 'shared'), r.state)
  WHEN r.state NOT IN ('created', 'adopted') AND (r.state <> 'conflict' OR r.reason IS NOT 'changed_after_creation')
    THEN CASE WHEN r.task_id IS NOT NULL AND json_extract(r.detail, '$.turned') IS NULL
      AND json_extract(r.detail, '$.differences.status') IS NULL AND {_ACCEPTED} THEN 'adopted' ELSE r.state END
  WHEN r.content = o.content OR (length(o.content) = 16 AND substr(r.content, 1, 16) = o.content)
    THEN CASE r.state WHEN 'conflict' THEN coalesce(json_extract(r.detail, '$.was'), 'created') ELSE r.state END
  WHEN {_ACCEPTED} THEN 'adopted'
  WHEN r.state = 'conflict' THEN r.state
  WHEN length(r.content) = 16 AND substr(o.content, 1, 16) = r.content THEN 'sending'
  WHEN r.state = 'adopted' AND json_extract(r.detail, '$.differences') IS NOT NULL THEN 'sending'
  ELSE 'changed_after_creation' END"""

# The state that a home row `r` counts as. It is `gone` if the row has no live task and never will (`states.stands`).
STANDS = """CASE
  WHEN r.gone IS NULL OR r.state IN ('created', 'adopted') THEN r.state
  WHEN r.state = 'sending'
    THEN CASE r.gone WHEN 1 THEN r.state WHEN 3 THEN 'created' WHEN 4 THEN 'adopted' ELSE 'gone' END
  WHEN r.state = 'conflict' AND r.reason = 'changed_after_creation'
    THEN coalesce(json_extract(r.detail, '$.was'), 'created')
  ELSE 'gone' END"""

# The other records beside a row. SQLite uses their index only for a query that repeats this condition.
SHARING = "state IN ('shared', 'changed_after_creation')"

JOB_RECORDS = f"""
CREATE VIEW job_records AS
  SELECT j.name AS job, t.mode, {STANDS} AS state, r.unique_id, r.task_id, s.name AS file, r.line, r.status, r.reason,
         r.gone IS NOT NULL AS gone
    FROM rows r JOIN jobs j ON j.id = r.job JOIN targets t ON t.id = j.target
    LEFT JOIN splits s ON s.job = r.job AND s.number = r.source
  UNION ALL
  SELECT j.name, t.mode, {SHOWN}, o.unique_id, r.task_id, s.name, o.line,
         CASE {SHOWN} WHEN r.state THEN r.status END,
         CASE WHEN o.state <> 'shared' THEN o.reason WHEN r.state = {SHOWN} THEN r.reason END, NULL
    FROM other_records o JOIN jobs j ON j.id = o.job JOIN targets t ON t.id = j.target
    LEFT JOIN rows r ON r.target = j.target AND r.unique_id = o.unique_id
    LEFT JOIN splits s ON s.job = o.job AND s.number = o.source AND s.kind = 'source'
"""
