"""The wire: requests and replies, errors, raw JSON, times."""
