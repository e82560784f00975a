"""Reading is complete: every record of every source, whatever it is packed in, wherever it lies, however the run went.

points      the matrix: its dimensions, which of them go together, how many points it has, draws from a seed
values      records and what makes them awkward
rendering   records as the bytes of a file
layout      files in folders, behind URLs and in pipes, and what happens to them between two runs
oracle      the bytes read back by Python's own csv and json, by gzip, zstd and pyarrow; imports nothing of scalesync
ledgerless  what must stand at the server and in the summary after each run; knows sources and server only
bench       runs the program, here or as a process that is killed
trial       one point from the seed to the sentences that say what differs

python -m tests.reading [--points N] [--seed S] [--only "format=csv mode=killed"]   draw; or one point again
"""
