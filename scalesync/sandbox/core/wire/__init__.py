"""What travels: requests and replies, errors, raw JSON, times."""
