"""What a completed chat holds: threads, turns, messages, annotations."""
