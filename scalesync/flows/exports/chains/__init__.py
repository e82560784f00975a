"""Chains of pages: which tasks are listed, what a partition met, whether its count adds up."""
