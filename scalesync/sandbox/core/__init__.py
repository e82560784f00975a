"""What every emulated platform needs, whichever it is."""
