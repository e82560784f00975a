"""The protocols that the engine and the flows call. Nothing here knows HTTP, SQLite or a file format."""
