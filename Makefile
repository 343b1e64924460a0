# Everything sets itself up: a virtual environment in .venv, made anew when what it is made from changes.
# `make run` and `make test` need no more than python3 (3.11 or newer) with its venv module.

.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
TOOLS := build/tools
INPUTS := pyproject.toml constraints.txt .ci/setup
# What `make alert` fires.
ARGS ?= avalo/core-api --value 99.4 --region eu
# How many tests run side by side.
JOBS ?= 3

.PHONY: help run demo alert test bench chaos soak check audit sbom fuzz lint format setup servers secrets docs constraints clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

run: $(VENV)/.run ## incidentd on this machine, with everything it needs; Ctrl-C ends it
	@exec $(BIN)/incidentd up

demo: $(VENV)/.run ## a story in about a minute, with measured times; touches nothing of yours
	@exec $(BIN)/incidentd demo

alert: $(VENV)/.run ## fire a sample alert on a running `make run`; ARGS="avalo/chat-delivery --region us"
	@exec $(BIN)/incidentd fire $(ARGS)

test: $(VENV)/.dev servers ## every test
	$(BIN)/pytest -n $(JOBS) --dist worksteal

bench: $(VENV)/.dev servers ## the benchmarks, about 20 minutes; BENCH="--only ad --database sqlite"
	@$(BIN)/python -m bench $(BENCH)

chaos: $(VENV)/.dev servers ## random faults against real processes, 5 minutes on each database; CHAOS="--seed 7"
	@$(BIN)/python -m tests.fault.chaos $(CHAOS)

soak: $(VENV)/.dev servers ## a steady load for an hour on each database, and what grows; SOAK="--minutes 10"
	@$(BIN)/python -m tests.fault.soak $(SOAK)

check: $(VENV)/.dev ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(TOOLS)/.made ## known weaknesses of what constraints.txt pins; fails only where some are found
	@$(BIN)/python .ci/audit $(TOOLS)/bin/pip-audit

sbom: $(TOOLS)/.made ## build/sbom.cdx.json: what is installed, as CycloneDX
	@$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible -o build/sbom.cdx.json
	@echo "build/sbom.cdx.json is written"

fuzz: $(VENV)/.dev ## bytes against the parsers, FUZZ_SECONDS (120) for each, and requests against the API
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-120} $(BIN)/pytest tests/fuzz --timeout 3600

lint: $(VENV)/.dev ## lint, and mend what can be mended by itself
	$(BIN)/ruff check --fix .

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .

setup: $(VENV)/.dev ## the virtual environment with all that developing needs

servers: ## the servers that tests use, as far as they can be installed here
	@.ci/servers

secrets: ## the secrets that docker-compose.yml mounts, as far as they are missing
	@deploy/make-secrets

docs: $(VENV)/.dev ## docs/configuration.md, from the settings
	$(BIN)/incidentd settings > docs/configuration.md

constraints: $(TOOLS)/.made ## pin the versions that are installed now
	for each in $(BIN) $(TOOLS)/bin; do $$each/python -m pip freeze --exclude-editable; done \
		| grep -E '^[A-Za-z0-9_.-]+==' | sort -fu > constraints.txt
	@touch $(VENV)/.run $(VENV)/.dev

$(TOOLS)/.made: pyproject.toml constraints.txt | $(VENV)/.dev
	@$(BIN)/python -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt cyclonedx-bom pip-audit
	@touch $@

clean: ## remove what was made, but no data
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: $(INPUTS)
	@.ci/setup $(VENV) ""
	@touch $@

$(VENV)/.dev: $(INPUTS)
	@.ci/setup $(VENV) dev
	@touch $(VENV)/.run $@
