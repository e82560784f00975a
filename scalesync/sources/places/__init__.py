"""Where sources lie: folders, globs, URLs, and what is passed over in them."""
