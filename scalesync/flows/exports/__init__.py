"""Export, increments and compaction."""
