"""One package per labelling service: it knows the wire and no policy."""
