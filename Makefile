# `make run` serves on this machine, `make test` proves in minutes what matters, `make test-all` proves everything.
# Each does all of its set-up.
PORT ?= 8080
DATA ?= data
HOST ?= 127.0.0.1
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := service-kit file-storage image-processor pixmill

# What is already written in the project's words (CONTRIBUTING.md); what is rewritten joins it.
PROSE = $(wildcard *.md) $(filter-out docs/algorithms.md,$(wildcard docs/*.md docs/*/*.md docs/*/*/*.md)) .github \
  docs/example-plugin tests/compose tests/support/documents.py tests/e2e/test_documents.py tests/e2e/test_check_prose.py \
  image-processor/src/image_processor/migrations \
  file-storage \
  image-processor/src/image_processor/algorithms $(filter-out %/profiles.py %/samples.py %/exif_values.py,$(wildcard image-processor/src/image_processor/imaging/*.py)) $(filter-out %/conftest.py %/test_capacity.py,$(wildcard image-processor/tests/*.py)) docs/build.py docs/algorithms.md

# What of the tests runs: K=expression (as pytest's -k) or K=path, which has a slash; without K all of them, after lint.
export K
EXPRESSION = $(if $(findstring /,$(K)),,$(if $(K),-k "$$K"))
CHOSEN = $(if $(findstring /,$(K)),"$$K",$(EXPRESSION))
PYTEST = $(BIN)/python -m pytest
# More failures than these have one cause, such as a server that does not start.
ENOUGH = --maxfail 25

.PHONY: run demo unit test test-all test-compose mutations faults fuzz bench docs lint types prose format lock clean

run: .venv/run
	@exec $(BIN)/pixmill serve --host $(HOST) --port $(PORT) --data $(DATA)

demo: .venv/run
	@scripts/demo $(PORT)

# For the loop of a person who edits a file: no server is started.
unit: .venv/test
	$(PYTEST) -m "not thorough and not server and not slow" $(ENOUGH) $(if $(findstring /,$(K)),"$$K",$(EXPRESSION) $(PACKAGES))

# What every change must pass.
test: .venv/test
	@scripts/install-servers
	@$(if $(K),,$(MAKE) --no-print-directory lint)
	$(PYTEST) -m "not thorough" $(ENOUGH) $(CHOSEN)

# Before a release, and before an issue is called resolved whose subject is tested here alone: all tests on both stacks, many
# examples, ten minutes of breakages, the mutations, waiting times, and docker-compose with restarts.
test-all: .venv/test
	@scripts/install-servers
	@scripts/fetch-corpus
	@$(MAKE) --no-print-directory lint
	PIXMILL_FAULTS_SECONDS=600 $(PYTEST) --hypothesis-profile thorough
	$(BIN)/python -m tests.mutations
	$(BIN)/python -m bench.waits
	scripts/test-compose --all

# docker-compose.yml alone: it comes up, serves and can be maintained. Needs Docker and docker-compose.
test-compose: .venv/test
	@scripts/test-compose

# Breaks a rule at a time in a copy of the sources, and expects a test of `make test` to notice.
mutations: .venv/test
	@scripts/install-servers
	$(BIN)/python -m tests.mutations

# Breaks everything in a random order for ten minutes, while tasks run. SEED= chooses the order.
faults: .venv/test
	@scripts/install-servers
	PIXMILL_FAULTS_SECONDS=600 PIXMILL_FAULTS_SEED=$(or $(SEED),$(shell date +%s)) $(PYTEST) tests/faults

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
	$(BIN)/python -m bench.waits

# The page of the algorithms, with its pictures, from their code.
docs: .venv/test
	$(BIN)/python docs/build.py

lint: .venv/test types prose
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/test
	$(BIN)/mypy $(PACKAGES:%=%/src) $(PACKAGES:%=%/tests) tests bench docs/build.py conftest.py

prose: .venv/python
	$(BIN)/python scripts/check-prose $(PROSE)

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
