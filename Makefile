# Every target sets itself up: `make setup` leaves a ready .venv and costs nothing when it already is.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench lock

# The first interpreter that will do; `make PYTHON=python3.13 setup` names another.
CANDIDATES := .venv/bin/python python3 python3.14 python3.13 python3.12 python3.11
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	command -v $$python >/dev/null 2>&1 && $$python -c '$(SUITABLE)' 2>/dev/null && { echo $$python; break; }; done)

# Importing Airflow without .pyc files is up to 40 times slower.
unexport PYTHONDONTWRITEBYTECODE

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## .venv with every tool and the console script, from the lock
	@$(if $(strip $(PYTHON)),,$(error No Python 3.11 to 3.14 found; install one or name it: make PYTHON=/path/to/python3 setup))
	@$(PYTHON) scripts/setup.py

demo: setup ## Train digits over a grid, register the best model, load it back
	@.venv/bin/python scripts/demo.py $(ARGS)

test: setup ## All tests (ARGS="-k name" for some)
	.venv/bin/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: setup ## Style, types, import contracts, Python 3.8 for the runtime
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/vermin --quiet --violations --no-tips --target=3.8- airflow_train/runtime

bench: setup ## The numbers of the issue as a table and as JSON
	@.venv/bin/python tests/benchmarks/run.py $(ARGS)

# What all locks have in common: any platform, hashes, and no address of anybody's index.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: setup ## Lock again after pyproject.toml changed (ARGS=--upgrade for newer versions)
	$(COMPILE) --group dev --all-extras $(ARGS) pyproject.toml --output-file requirements/dev.txt
	$(COMPILE) --extra docker pyproject.toml --constraint requirements/dev.txt \
		--output-file docker/airflow/requirements.txt
	$(COMPILE) --group demo --constraint requirements/dev.txt --output-file docker/sklearn/requirements.txt
	$(COMPILE) --constraint requirements/dev.txt docker/mpi/requirements.in --output-file docker/mpi/requirements.txt
	$(COMPILE) --no-emit-package numpy docker/horovod/requirements.in --output-file docker/horovod/requirements.txt
	$(COMPILE) --no-deps docker/horovod/horovod.in --output-file docker/horovod/horovod.txt
