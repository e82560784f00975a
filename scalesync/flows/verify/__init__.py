"""Verification of source, ledger and server, and its repair."""
