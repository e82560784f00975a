"""The places of sources: folders, globs, URLs, and what is skipped in them."""
