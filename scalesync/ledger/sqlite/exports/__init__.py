"""What the ledger holds of exports: partitions, files, versions, windows."""
