# `make run` serves on this machine; `make test` proves everything, until 25 tests have failed: where a stack does not start,
# all that need it fail. Both do all of their set-up.
PORT ?= 8080
DATA ?= data
HOST ?= 127.0.0.1
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := service-kit file-storage image-processor pixmill

.PHONY: run demo test test-compose faults fuzz bench docs lint format lock clean

run: .venv/run
	@exec $(BIN)/pixmill serve --host $(HOST) --port $(PORT) --data $(DATA)

demo: .venv/run
	@scripts/demo $(PORT)

test: .venv/test
	@scripts/install-servers
	@scripts/fetch-corpus
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest --maxfail 25

test-compose: .venv/test
	@scripts/test-compose

# Breaks everything in a random order for ten minutes, while tasks run. SEED= chooses the order.
faults: .venv/test
	@scripts/install-servers
	PIXMILL_FAULTS_SECONDS=600 PIXMILL_FAULTS_SEED=$(or $(SEED),$(shell date +%s)) $(BIN)/python -m pytest tests/faults

# Damages image files for ten minutes and has them processed, each worker's limits as they are in use. What crashes or
# hangs stays in .fuzz/. FUZZ_SECONDS= chooses another time.
fuzz: .venv/test
	@scripts/fetch-corpus
	@mkdir -p .fuzz/corpus
	$(BIN)/python -m tests.fuzz.decode .fuzz/corpus .corpus -max_total_time=$(or $(FUZZ_SECONDS),600) \
	  -max_len=65536 -timeout=20 -rss_limit_mb=2048 -artifact_prefix=.fuzz/

# How much of the machine's speed reaches the user.
bench: .venv/test
	@scripts/install-servers
	$(BIN)/python -m bench.jobs
	$(BIN)/python -m bench.algorithms
	$(BIN)/python -m bench.files
	$(BIN)/python -m bench.listing

# The page of the algorithms, with its pictures, from their code.
docs: .venv/test
	$(BIN)/python docs/build.py

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(PACKAGES:%=%/src) tests bench docs/build.py conftest.py

format: .venv/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/test
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock

clean:
	rm -rf .venv demo-output

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "pixmill: Python 3.11 or newer is needed; choose one with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "pixmill: this Python cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	@touch $@

.venv/run: .venv/python pixmill/requirements.txt requirements/build.txt $(PACKAGES:%=%/pyproject.toml)
	@echo "Installing Pixmill's requirements (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r pixmill/requirements.txt -r requirements/build.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(PACKAGES:%=--editable %)
	@touch $@

# Most of what only the tests need (84 MB of source) is never imported: not compiled before it is.
.venv/test: .venv/run requirements/development.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/development.txt
	@touch $@
