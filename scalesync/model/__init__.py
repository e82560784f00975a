"""Frozen values that travel between the layers. No I/O, no policy."""
