# The one entry: `make` alone lists what there is.

PROFILE ?= quick
PROTOCOL ?= rigorous
ARGS ?=
JOBS ?= 2
PYTHON ?=

VENV := .venv/bin
LINK := build/links/layerclaims

# Another project's modules must not leak into .venv; and without compiled files each process compiles everything.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup verdict test architectures mutants faults lint bench bench-compare docs calibrate nulls clean

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make verdict PROFILE=paper PROTOCOL=both ARGS="--seed 1"   any option of pytest claims/ goes into ARGS'
	@echo '  make test ARGS="-k probe" JOBS=4                           options of pytest, number of processes'
	@echo '  make PYTHON=/path/to/python3 setup                         the Python that makes .venv'

setup: $(LINK) ## create or complete .venv from requirements/ (every target does it first)
	@PYTHON="$(PYTHON)" requirements/setup.sh

# Type checker, linter and editors find the package by its import name here.
$(LINK):
	@mkdir -p $(@D) && ln -sfn ../../harness $@

verdict: setup ## judge the claims on the embedded model, write reports/; 0 once every claim has a verdict
	@requirements/system.sh report
	$(VENV)/python -m pytest claims/ --profile $(PROFILE) --protocol $(PROTOCOL) --verdicts-only $(ARGS)

# One thread each: the processes share the cores already.
test: setup ## run the tests
	@requirements/system.sh test
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

architectures: setup ## read every causal-LM type of transformers, write tests/architectures.json and docs/architectures.md
	$(VENV)/python -m tests.architectures
	$(VENV)/python -m docs.writers

mutants: setup ## make 160 wrong changes to harness/, one at a time, and name those that no test notices (ARGS="--only NAME")
	@requirements/system.sh test
	$(VENV)/python -m tests.mutants $(ARGS)

# Both parts are run whatever the first one finds.
faults: setup ## kill runs, damage files, fill disks for 20 minutes at most, write docs/reliability.md (ARGS="--seed 1")
	@status=0; export OMP_NUM_THREADS=1; \
	$(VENV)/python -m tests.faults --minutes 14 $(ARGS) || status=1; \
	FUZZ=thorough $(VENV)/python -m pytest -n 2 --dist loadfile tests/fuzz || status=1; \
	exit $$status

lint: setup ## ruff (rules and format), mypy --strict, who may import whom
	$(VENV)/python -m ruff check .
	$(VENV)/python -m ruff format --check .
	$(VENV)/python -m mypy --strict -p layerclaims
	PYTHONPATH=$(dir $(LINK)) $(VENV)/lint-imports --no-cache --no-logo

bench: setup ## measure speed and memory against what one would pick instead
	@set -e; for file in benchmarks/bench_*.py; do \
		[ -e "$$file" ] || continue; echo "$(VENV)/python $$file $(ARGS)"; $(VENV)/python "$$file" $(ARGS); \
	done

bench-compare: setup ## set two files of benchmarks/results side by side (ARGS="A B"; the newest two)
	@$(VENV)/python benchmarks/compare.py $(ARGS)

calibrate: setup ## measure how often each row's verdict is wrong, write docs/calibration.* (ARGS="--rows ID")
	OMP_NUM_THREADS=1 $(VENV)/python -m tests.claims.calibrate $(ARGS)

nulls: setup ## measure how often structureless data pass each row, write docs/nulls.md (ARGS="--missing" goes on)
	OMP_NUM_THREADS=1 $(VENV)/python -m tests.claims.nulls $(ARGS)

docs: setup ## write what of the documentation follows from code and report, build the site in build/site
	$(VENV)/python -m docs.writers
	NO_MKDOCS_2_WARNING=1 $(VENV)/python -m mkdocs build --strict
	@echo "make: the site is build/site/index.html"

clean: ## remove .venv and what tools left; reports/ and the cache of states stay
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .hypothesis .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
