"""The ledger: the durable record of what a run intends to do and of what happened.

A row holds everything known of one (target, unique_id). A job is a view over rows: the rows that it brought first (its
home rows), and in `other_records` its records without a home row: duplicates, clashes, invalid lines, records that
share the row of an earlier job. `moves`, `effects` and `states` decide how a row changes, without SQL and the same for
every ledger. `sqlite` keeps the ledger in one file. There all writes of a process go through one thread with one
connection, in groups. Each group is one transaction, fenced by the lease of the run that writes.
"""
