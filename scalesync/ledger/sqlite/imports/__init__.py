"""Imports in the ledger: rows, their outcomes, counts and checks."""
