"""Exports in the ledger: partitions, files, versions, windows."""
