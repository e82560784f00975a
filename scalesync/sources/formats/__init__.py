"""One module per format of a source."""
