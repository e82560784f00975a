"""The whole loop on the embedded sandbox."""
