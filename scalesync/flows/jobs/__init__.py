"""Jobs that the ledger knows: status, failures, retry, refresh, rebuild."""
