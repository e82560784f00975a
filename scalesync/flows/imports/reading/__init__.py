"""Reading sources on behalf of an import."""
