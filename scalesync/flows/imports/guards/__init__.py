"""What keeps an import from doing harm: the first questions, a person's yes, bounds, the first records."""
