# The workbench: every target is one sentence, `make` alone lists them.

.POSIX:
.SUFFIXES:
.DEFAULT_GOAL := help

PYTHON = .venv/bin/python
# make demo ENGINES=debian13: take the engines from an engine root instead of this machine.
# make test ENGINES=debian-sid: run the engine tests on this root as well.
ENGINES =
# make engines RELEASE=sid: build the root of one release only.
RELEASE =
# make test TESTS=tests/site: run a part of the tests, as pytest does it; its words may follow.
TESTS =
# make test JOBS=1: so many parts of the tests at once, instead of two for each processor.
JOBS =
# make conformance STORIES=new: tell these only; new, none, or names of scenarios.
STORIES =

.PHONY: help setup demo test check fmt fmt-check lint types layers shape golden conformance
.PHONY: engines faults bench clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \2/p' Makefile | \
	  awk '{ printf "  %s %-12s", $$1, $$2; $$1 = $$2 = ""; print }'

setup: ## Install what is missing: Debian's packages and .venv.
	@scripts/setup.sh

demo: setup ## Run the lab: a working SBC on this machine and calls through it (ENGINES=debian13).
	@if [ -z "$(ENGINES)" ]; then exec .venv/bin/sbcctl lab run --only basic; fi; \
	  scripts/engines.sh $(ENGINES) && \
	  exec .venv/bin/sbcctl --engine-root "$$(scripts/engines.sh --path $(ENGINES))" lab run --only basic

test: setup engines ## Run all tests, engines of both generations included (TESTS=path, JOBS=1).
	@if [ -n "$(ENGINES)" ]; then scripts/engines.sh $(ENGINES); fi
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && trap 'exit 130' INT TERM && \
	  export SBCCTL_LANES="$(ENGINES)" TMPDIR="$$tmp" PYTEST_DEBUG_TEMPROOT="$$tmp" && \
	  if [ -n "$(TESTS)" ]; then $(PYTHON) -m pytest $(TESTS); \
	  else $(PYTHON) scripts/parts.py $(JOBS:%=--jobs %); fi

check: fmt-check lint types layers shape ## Check format, lint, types, floors and shape; runs no engine.

fmt: setup ## Format the Python sources.
	@$(PYTHON) -m ruff format --quiet .
	@$(PYTHON) -m ruff check --quiet --select I --fix .

fmt-check: setup ## Check the format of the Python sources.
	@$(PYTHON) -m ruff format --check .

lint: setup ## Check the sources with ruff, the words with codespell, the shell with shellcheck.
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m codespell_lib
	@if command -v shellcheck >/dev/null; then shellcheck -x scripts/*.sh .ci/run; fi

types: setup ## Check the types with mypy.
	@$(PYTHON) -m mypy --no-error-summary

layers: setup ## Check that imports go down only.
	@.venv/bin/lint-imports --no-logo --no-cache

shape: setup ## Check the sizes of functions and files, and the map in the README.
	@$(PYTHON) -m pytest -q --no-header tests/test_shape.py

golden: setup ## Write the expected files of every example anew; review the difference.
	@SBCCTL_GOLDEN=write $(PYTHON) -m pytest -q tests/golden

conformance: setup ## Tell all stories on both generations, write docs/conformance.md (STORIES=new).
	@$(PYTHON) scripts/conformance.py $(STORIES)

engines: setup ## Build the engine roots in the cache folder (RELEASE=trixie, bookworm or sid).
	@scripts/engines.sh $(RELEASE)

faults: setup engines ## Break each file operation and exchange of apply and rollback once (hours).
	@SBCCTL_FAULTS=every $(PYTHON) -m pytest -q -s tests/test_kills.py tests/test_faults.py tests/test_lost_answers.py \
	  tests/test_cert_kills.py tests/test_certbot_kills.py

bench: setup engines ## Run the benchmarks (an hour), write figures and plots of most to bench/.
	@for each in bench/*.py; do echo "$$each"; words=; \
	  if grep -q '"--write"' "$$each"; then words=--write; fi; \
	  $(PYTHON) "$$each" $$words || exit; \
	done

clean: ## Remove what was built in the checkout; the cache folder stays.
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@rm -rf lab-report lab-report.html
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
