"""An export through a file that the platform makes."""
