"""What every run needs in addition to its work: wiring, pace, watch, options, identity of jobs."""
