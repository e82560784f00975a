"""Scale's API as a table: one row for each endpoint, from which client, commands, coverage and their checks come."""
