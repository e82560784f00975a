"""How an import reads its sources."""
