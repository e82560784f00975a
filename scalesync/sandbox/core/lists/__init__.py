"""The arrays that lists are read from, and the faults of lists."""
