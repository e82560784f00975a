"""Scale AI, API v1: tasks, batches, projects.

Source of the wire facts: Scale's documentation, the official Python and Node SDKs, recorded traffic.
"""
