"""From files, folders, pipes and URLs to records."""
