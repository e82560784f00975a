"""Import: from checked options to a summary."""
