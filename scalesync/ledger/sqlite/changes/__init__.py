"""Changes of many tasks in the ledger."""
