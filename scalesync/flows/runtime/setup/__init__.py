"""The base of a run: settings and platforms."""
