# Everything runs in .venv, which the first command makes. PYTHON chooses the interpreter (CPython >= 3.11).
PYTHON ?= python3
BIN := .venv/bin
# Hundreds of tests start the program: without bytecode from the first, each compiles 250 modules.
unexport PYTHONDONTWRITEBYTECODE
# Many tests wait for a deadline: two workers leave half of two cores idle.
WORKERS ?= 4
# Modules in their order: by their number of tests, those with few tests of many seconds came last and alone.
DIST := --dist loadscope --no-loadscope-reorder
# The long proof: at most so many minutes, figures as JSON.
SOAK_MINUTES ?= 90
SOAK_OUT ?= build/soak.json
MUTANT_MINUTES ?= 30

.PHONY: demo test soak proof-slow proof-floors proof-sdk mutants mutants-quick bench lint types format clean

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("scalesync needs CPython 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable ".[parquet,keyring,cloud]" --group dev
	touch $@

demo: .venv/ready
	$(BIN)/scalesync demo

test: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) $(DIST)

# What make test leaves out because of its five minutes, and no change may go without; tests/draws.py names the modules.
proof-slow: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) $(DIST) -m "slow and not soak"

soak: .venv/ready
	$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES) --out $(SOAK_OUT)

# Once per release: the lowest versions that pyproject.toml allows, in an environment of their own.
proof-floors: .venv/ready
	$(PYTHON) -m venv build/floors
	build/floors/bin/python -m pip install --quiet uv
	build/floors/bin/uv pip install --quiet --python build/floors/bin/python --resolution lowest-direct \
	  --requirements pyproject.toml --extra parquet --extra keyring --extra cloud
	build/floors/bin/uv pip install --quiet --python build/floors/bin/python --group dev
	build/floors/bin/uv pip install --quiet --python build/floors/bin/python --no-deps --editable .
	PATH="$(CURDIR)/build/floors/bin:$$PATH" build/floors/bin/python -m pytest -n $(WORKERS) $(DIST) -p no:cacheprovider -m "not soak"

# The official SDK's own tests against the sandbox; they come from the package registry.
proof-sdk: .venv/ready
	$(BIN)/python -m tests.sandbox.official

mutants: .venv/ready
	$(BIN)/python -m tests.mutants --workers $(WORKERS)

# Each mutant by its own tests alone, as many as the time allows; `make test` has to be run as well.
mutants-quick: .venv/ready
	$(BIN)/python -m tests.mutants --first --checked --minutes $(MUTANT_MINUTES)

# Needs nginx with its Lua module, and wrk (Debian: nginx libnginx-mod-http-lua wrk).
bench: .venv/bench-ready
	$(BIN)/python -m benchmarks --out build/bench.json

.venv/bench-ready: .venv/ready
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
