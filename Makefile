# Every command of the project. `make` alone lists them. Needs Python 3.11 or newer, and nothing else.
#
# Packages live in .venv. Each group of them (requirements/*.txt) leaves a stamp there, so that a second start
# installs nothing. PYTHON= names another interpreter; PORT=, CLARION_DATA= and every CLARION_ setting pass through.

.DEFAULT_GOAL := help
.PHONY: help run demo test thorough long check fix shell legs bench faults durable forwarding fuzz outage clocks docs lock audit clean lint core
SHELL := /bin/sh

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
# `-n auto`: one worker for each core.
PYTEST := $(BIN)/pytest -n auto --dist loadgroup --durations=10

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: core  ## start everything, for development, on loopback; Ctrl-C stops it
	@exec $(BIN)/clarion run --dev

demo: core  ## show every journey on made-up data, against stand-ins for the providers
	@exec $(BIN)/clarion demo

test: core group-test  ## the tests that take less than a second each, on SQLite (make legs: on every database)
	@$(PYTEST) -m 'not thorough and not slow'

thorough: core group-test  ## the other tests; with some, a protection is switched off and missed
	@$(PYTEST) -m '(thorough or slow) and not long'

long: core group-test  ## the thorough tests that CI has no time for
	@$(PYTEST) -m long

check: lint  ## what CI asks first: format, lint, types, arrows, then the tests
	@$(MAKE) --no-print-directory test

lint: core group-lint  ## the same without the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: core group-lint  ## format, and mend what ruff can mend
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

shell: core  ## a Python prompt with the models loaded
	@exec $(BIN)/python manage.py shell

legs: core group-test  ## the database tests on every database; LEG="postgres mariadb" picks
	@$(BIN)/python -m tests.legs $(LEG)

bench: core group-test group-bench  ## measure, against rivals in the same run; writes bench/results.md
	@$(BIN)/python -m bench

faults: core group-test  ## kill processes at every crash point and count what was lost or doubled
	@$(BIN)/python -m tests.faults.kills

durable: core group-test  ## kill web processes, cut the power, stop servers, fill disks while events are posted
	@$(BIN)/python -m tests.faults.durable

forwarding: core group-test  ## kill workers, and hang a receiver, while events are forwarded; takes 15 minutes
	@$(BIN)/python -m tests.faults.forwarding

fuzz: core group-test  ## 20,000 requests made up from the API's own description, and hostile bodies
	@$(BIN)/python -m tests.faults.strangers

outage: core group-test  ## a sender is away for ten minutes, another hangs; takes 50 minutes
	@$(BIN)/python -m tests.faults.lanes

clocks: core group-test  ## set the clock of running processes, and take it through the nights it changes (libfaketime)
	@$(BIN)/python -m tests.faults.clocks
	@$(BIN)/python -m tests.lib.minutes

docs: core group-docs  ## draw what is drawn from the code, then build the documentation site into site/
	@$(BIN)/python -m tests.drawings
	@$(BIN)/zensical build --strict

# Names, versions and hashes, and no address: the locks work with any mirror.
LOCK := $(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --upgrade

lock: core group-tools  ## pin the newest allowed version of everything into requirements/*.txt
	@$(LOCK) pyproject.toml --group build -o requirements/core.txt
	@set -e; for group in test lint bench browser docs tools; do \
		$(LOCK) --group $$group -c requirements/core.txt -o requirements/$$group.txt; done

audit: core group-tools  ## ask the public advisories about every pinned package (needs the internet)
	@set -e; for lock in requirements/*.txt; do echo "$$lock"; \
		$(BIN)/pip-audit --require-hashes --disable-pip --progress-spinner off -r $$lock; done

clean:  ## remove .venv and caches; your data in var/ stays
	@rm -rf .venv site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- .venv

# The first interpreter that answers (a version manager's shim may be there and not) and can make a .venv.
# Debian keeps the part that makes one, ensurepip, in a package of its own.
.venv/bin/python:
	@found=; without=; \
	for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3); do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		if $$python -c 'import ensurepip' 2>/dev/null; then found=$$python; break; fi; \
		without=$${without:-$$($$python -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')}; \
	done; \
	if [ -z "$$found" ] && [ -n "$$without" ]; then \
		echo "Missing: a part of Python that Debian ships apart. Run: sudo apt install $$without" >&2; exit 1; fi; \
	if [ -z "$$found" ]; then \
		echo "Missing: Python 3.11 or newer (looked for $(or $(PYTHON),python3.14 … python3.11 and python3))." >&2; exit 1; fi; \
	rm -rf .venv; "$$found" -m venv .venv || { rm -rf .venv; exit 1; }

# A group is installed when its stamp names its lock and this folder (a .venv does not bear being moved).
# Once more if it fails: most failures of an install are a network's, and brief.
install = want="$$(cat requirements/$(1).txt $(2) | cksum) $(CURDIR)"; \
	[ "$$(cat .venv/$(1).stamp 2>/dev/null)" = "$$want" ] && exit 0; \
	echo "Installing the packages of requirements/$(1).txt …" >&2; \
	$(PIP) install --require-hashes -r requirements/$(1).txt || \
	{ echo "Trying once more …" >&2; $(PIP) install --require-hashes -r requirements/$(1).txt; } || exit 1

core: .venv/bin/python
	@$(call install,core,pyproject.toml); \
	$(PIP) install --no-deps --no-build-isolation -e . && echo "$$want" > .venv/core.stamp

group-%: core
	@$(call install,$*,); echo "$$want" > .venv/$*.stamp
