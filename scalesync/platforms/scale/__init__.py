"""Scale AI, API v1: tasks, batches, projects.

The facts about the wire come from Scale's documentation, the official Python and Node SDKs, and recorded traffic.
"""
