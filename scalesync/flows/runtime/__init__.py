"""What every run needs beside its work: wiring, pace, watch, options, identity of jobs."""
