"""What the v1 API has beside tasks, batches and projects: one module for each noun, and the table of their paths."""
