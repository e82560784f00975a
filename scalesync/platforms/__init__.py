"""One package for each labelling service. It knows the wire and holds no policy."""
