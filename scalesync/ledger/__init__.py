"""The ledger: what was meant to happen, what happened, durable.

A row is what is known of one (target, unique_id). A job is a view over rows: the rows it brought first (its home
rows) and, in `other_records`, the records that have no home row: duplicates, clashes, invalid lines, rows shared with
an earlier job. What becomes of a row is decided here (`decisions`, `states`), without SQL and the same for every
ledger; `sqlite` keeps it in one file. There all writes of a process go through one thread with one connection, in
groups; each group is one transaction, fenced by the lease of the run that writes.
"""
