"""Platforms held against the suite that is published for them."""
