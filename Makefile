# Needs python3 (3.10 or newer, with venv) and make; all else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
READY_SPARK := .venv/ready-spark

# Inherited settings of pip and uv that say where packages come from stay; those that would change
# what is installed, or where, go. So does what belongs to another Python, another project or, unless
# a server is named, another PostgreSQL.
SOURCES := %_INDEX %_INDEX_URL %_FIND_LINKS %_CERT %_CERTS %_TLS %_PROXY %_HOST %_TIMEOUT %_RETRIES \
  %_CACHE_DIR %_CONFIG_FILE %_KEYRING_PROVIDER %_OFFLINE %_LINK_MODE UV_INDEX_% UV_CONCURRENT_%
unexport $(filter-out $(SOURCES),$(filter PIP_% UV_%,$(.VARIABLES)))
unexport $(filter VIRTUAL_ENV% PYTHON% MELTANO_% TAP_MSGHISTORY_% TARGET_POSTGRES_%,$(.VARIABLES))
ifndef MSGHISTORY_DSN
unexport $(filter PG%,$(.VARIABLES))
endif
# The one Python is .venv's; uv is to fetch no other.
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help demo demo-spark test bench targets lint format clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

demo: $(READY) ## two syncs from the sandbox through Meltano into PostgreSQL, and what they brought
	@$(BIN)/python -m demo

demo-spark: $(READY_SPARK) ## the same histories through Spark into Parquet, held against the tap's
	@$(BIN)/python -m demo.spark

test: lint ## everything: lint, types, all tests, the end-to-end one too
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile

bench: $(READY_SPARK) ## what the tap costs, measured beside others: tables, and docs/benchmarks.md
	@$(BIN)/python -m bench

targets: $(READY) ## what Singer targets make of the tap's output, cell by cell: docs/targets.md
	@$(BIN)/python -m targets

lint: $(READY_SPARK) ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY) ## mend the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove what make, tests and linters have made
	rm -rf .venv .targets .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml uv.lock | $(BIN)/uv
	$(BIN)/uv sync --quiet --frozen --inexact --extra sandbox
	@touch $@

# Spark, and the orchestrator of an example: most of a gigabyte, which make demo does without.
$(READY_SPARK): $(READY)
	$(BIN)/uv sync --quiet --frozen --inexact --extra sandbox --extra spark --group spark --group orchestrator
	@touch $@

# uv is in uv.lock too, so that `uv sync` keeps it.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
