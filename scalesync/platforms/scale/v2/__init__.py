"""Scale AI, API v2: GenAI tasks (chats), their projects and batches.

Its create call takes no `unique_id`, so the key of a record is in the task's metadata, where it is a label: the
server keeps it, and does not refuse a second task with it.
"""
