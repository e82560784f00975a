"""Scale's v1 API: tasks, batches and projects."""
