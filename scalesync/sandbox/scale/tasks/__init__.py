"""Tasks: create, change, complete and list them."""
