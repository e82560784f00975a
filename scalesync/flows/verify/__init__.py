"""Verification of source, ledger and server, and the repair of what it finds."""
