"""What scalesync costs beside other clients: same machine, same server, same run. `python -m benchmarks --help`.

nginx, nginx_tasks.lua   a server that is never the bottleneck; wrk.lua asks it as fast as it can answer
serve_tasks              the sandbox with tasks in it, for exports
peers                    the other clients, each a process of its own
measure                  a whole process: wall, CPU, peak memory; medians over rounds taken in turn
imports, exports, paced  the scenarios; million: memory, ledger and resume at a million records
machine                  what it was measured on
plots, page              docs/performance.md from the figures
"""
