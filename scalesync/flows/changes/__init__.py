"""`apply`: one change of many tasks, from the rows that name them to its summary."""
