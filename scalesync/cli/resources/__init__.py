"""`scalesync PLATFORM NOUN VERB`: a platform's own things, one command for each row of its table."""
