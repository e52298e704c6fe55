# Requires python3 (3.10 or newer, with venv) and make. Everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
READY_CHECK := .venv/ready-check
READY := .venv/ready
READY_INTERFACES := .venv/ready-interfaces
PYAIRBYTE := .clients/pyairbyte
DBT := .clients/dbt
SCHEMATHESIS := .clients/schemathesis
# Branch coverage, which must not fall below what has been reached.
COVERAGE := --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

# Inherited settings of pip and uv about the source of packages are kept. Settings that would change what is
# installed, or where, are removed, and so are variables of another Python, another project or, unless a
# server is named, another PostgreSQL.
SOURCES := %_INDEX %_INDEX_URL %_FIND_LINKS %_CERT %_CERTS %_TLS %_PROXY %_HOST %_TIMEOUT %_RETRIES \
  %_CACHE_DIR %_CONFIG_FILE %_KEYRING_PROVIDER %_OFFLINE %_LINK_MODE UV_INDEX_% UV_CONCURRENT_%
unexport $(filter-out $(SOURCES),$(filter PIP_% UV_%,$(.VARIABLES)))
unexport $(filter VIRTUAL_ENV% PYTHON% MELTANO_% TAP_MSGHISTORY_% TARGET_POSTGRES_%,$(.VARIABLES))
ifndef MSGHISTORY_DSN
unexport $(filter PG%,$(.VARIABLES))
endif
# Use the Python of .venv; uv must not download another.
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help demo demo-spark check test test-lowest test-pythons mutants bench targets dbt-dialects sbom docs lint \
  format clean

help: ## show this help
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

demo: $(READY) ## two syncs from the sandbox through Meltano into PostgreSQL, and a report of the result
	@$(BIN)/python -m demo

demo-spark: $(READY_INTERFACES) ## the same histories through Spark into Parquet, compared with the tap's output
	@$(BIN)/python -m demo.spark

check: $(READY_CHECK) ## lint, types, unit and property tests: fast, without the other interfaces and PostgreSQL
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy tap_msghistory msghistory_sandbox --exclude 'tap_msghistory/(airbyte|arrow|dlt|spark)'
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile -m "not server"

test: lint docs $(PYAIRBYTE)/ready $(DBT)/ready $(SCHEMATHESIS)/ready ## everything: lint, types, documentation, and all tests including the end-to-end test
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder $(COVERAGE)

test-lowest: $(BIN)/uv ## unit and property tests with the lowest declared versions of direct dependencies
	.ci/isolated $(PYTHON) --resolution lowest-direct

test-pythons: $(BIN)/uv ## unit and property tests with every Python from 3.10 to 3.14 on this machine
	for minor in 10 11 12 13 14; do .ci/isolated python3.$$minor || exit 1; done

mutants: $(READY) ## mutation tests of the pure core; takes about half an hour
	$(BIN)/uv sync --quiet --frozen --inexact --extra sandbox --group mutants
	$(BIN)/mutmut run

bench: $(READY_INTERFACES) ## cost of the tap compared with other ways: tables, and docs/benchmarks.md
	@$(BIN)/python -m bench

targets: $(READY) ## the tap's output in several Singer targets, compared cell by cell: docs/targets.md
	@$(BIN)/python -m targets

dbt-dialects: $(BIN)/uv ## compile the dbt package for Snowflake and BigQuery, without a connection
	$(BIN)/uv run --quiet --no-project --isolated --with-requirements tests/clients/dialects.txt \
	  python tests/clients/dialects.py dbt_msghistory

sbom: $(READY_INTERFACES) ## bill of materials (CycloneDX) and licenses of all dependencies, in sbom/
	@mkdir -p sbom
	$(BIN)/uv export --quiet --frozen --no-default-groups --all-extras --format cyclonedx1.5 --output-file sbom/tap-msghistory.cdx.json
	$(BIN)/python -m docs_build.licenses > sbom/licenses.csv

docs: $(READY) ## documentation site in site/; broken links and undocumented settings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

lint: $(READY_INTERFACES) ## style, types, layers and dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .
	$(BIN)/zizmor --quiet --offline .github/workflows
	$(BIN)/mypy

format: $(READY_CHECK) ## fix the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove generated files
	rm -rf .venv .targets .clients site mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache dist sbom
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY_CHECK): pyproject.toml uv.lock | $(BIN)/uv
	$(BIN)/uv sync --quiet --frozen --inexact --no-default-groups --group dev --extra sandbox
	@touch $@

$(READY): $(READY_CHECK)
	$(BIN)/uv sync --quiet --frozen --inexact --extra sandbox --extra report
	@touch $@

# All interfaces, and the orchestrator of an example: more than a gigabyte, not required by make demo.
$(READY_INTERFACES): $(READY)
	$(BIN)/uv sync --quiet --frozen --inexact \
	  --extra sandbox --extra report --extra airbyte --extra dlt --extra spark \
	  --group browser --group dlt --group spark --group orchestrator
	@touch $@

# Airbyte's own clients. They depend on backoff, which clashes with python-backoff, and support Python up to 3.12.
$(PYAIRBYTE)/ready: tests/clients/pyairbyte.txt | $(BIN)/uv
	@mkdir -p $(PYAIRBYTE)
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then \
	  $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PYAIRBYTE) && \
	  $(BIN)/uv pip install --quiet --python $(PYAIRBYTE)/bin/python --requirement $<; fi
	@touch $@

# Programs with many pinned dependencies, each in an environment of its own.
$(DBT)/ready $(SCHEMATHESIS)/ready: .clients/%/ready: tests/clients/%.txt | $(BIN)/uv
	@mkdir -p $(@D)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@

# uv is in uv.lock too, so `uv sync` keeps it.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is required")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
