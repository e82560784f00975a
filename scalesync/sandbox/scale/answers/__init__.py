"""Synthetic answers of completed tasks, and the result files that they link to."""
