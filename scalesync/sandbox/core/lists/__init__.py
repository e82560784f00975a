"""What lists are read from, and what they say that is not so."""
