"""Bulk import of labelling tasks and export of annotations: async, rate-limited, resumable."""
