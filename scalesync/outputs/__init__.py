"""Files that an export writes and reads: manifest, segments, columns."""
