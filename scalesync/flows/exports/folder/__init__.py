"""The folder of an export: its files, its manifest, and what they tell the next run."""
