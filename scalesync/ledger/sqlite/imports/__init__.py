"""What the ledger holds of records: rows, what became of them, how they are counted and checked."""
