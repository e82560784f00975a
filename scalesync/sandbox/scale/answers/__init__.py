"""Synthetic answers of completed tasks, and the result files they point at."""
