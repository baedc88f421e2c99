# The developer's interface. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install check test test-unit demo demo-down generate bench bench-scale bench-api

CACHE := $(or $(DATAGUARDIAN_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dataguardian)
UV_VERSION := 0.13.9
UV := $(CACHE)/uv-$(UV_VERSION)/bin/uv
VENV := .venv
export UV_PYTHON_DOWNLOADS := never
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(UV):
	@echo "Installing uv $(UV_VERSION)"
	@python3 -m venv $(CACHE)/uv-$(UV_VERSION)
	@$(CACHE)/uv-$(UV_VERSION)/bin/pip install --quiet uv==$(UV_VERSION)

$(VENV)/installed: pyproject.toml uv.lock | $(UV)
	@echo "Installing the Python environment"
	@$(UV) sync --frozen --quiet
	@touch $@

install: $(VENV)/installed ## Make the Python environment in .venv

check: install ## Lint, types, import contracts, generated files, chart
	@ruff format --check .
	@ruff check .
	@mypy
	@lint-imports
	@hack/packages check
	@shellcheck $$(git ls-files hack .ci | xargs grep -lE '^#!.*bash')
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code -- crds charts manifests docs || { echo "Generated files changed: commit what make generate wrote." >&2; exit 1; }
	@hack/lint/chart

test: install ## Run all tests: unit, integration (real services), cluster (a real Kubernetes)
	@hack/packages test
	@hack/cluster/cluster programs kubernetes coredns helm provisioner pause kubeconform versitygw >/dev/null
	@hack/servers 14 18 >/dev/null
	@pytest --numprocesses 2 tests/cluster tests/unit tests/test_promises.py tests/integration

test-unit: install ## Run the tests of the pure code, under 30 s
	@pytest tests/unit

generate: install ## Write the files that are generated from the code
	@dataguardian render
	@hack/generate/manifests

demo: install ## Show it all on a real cluster: backup, loss, restore
	@hack/demo/demo up

demo-down: ## Take the demo down, with its cluster
	@hack/demo/demo down

bench: install ## Compare speed and memory with pg_dump and zstd
	@hack/packages test
	@python bench/run.py

bench-scale: install ## Measure the operator with thousands of BackupJobs
	@hack/packages test
	@hack/cluster/cluster programs kubernetes >/dev/null
	@python bench/scale.py

bench-api: install ## Measure the API with many executions and readers
	@hack/packages test
	@hack/cluster/cluster programs kubernetes helm versitygw >/dev/null
	@python bench/api.py
