"""Tasks: creating, changing, ending and listing them."""
