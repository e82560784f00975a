"""The second count of the records of a file, which shares no code with the readers."""
