"""What `scalesync apply` changes over version 1 of Scale's API.

`plans` says what a change would do to a task or batch, `table` declares the changes, `calls` makes their requests out
of the rows of `api`, and `changer` sends them.
"""
