.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
READY := .venv/.installed
PEERS := .venv/.installed-bench

export VIDEOPROC_WORKSPACE ?= $(CURDIR)/workspace
DATA ?= workspace/demo
MODEL ?= cnn_gru
WORKERS ?= 2
PORT ?= 5000

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## install everything into .venv (again when pyproject.toml or constraints.txt change)

# torch is named with its version: pip then finds the build of that pin (CPU where there is no GPU).
$(READY): pyproject.toml constraints.txt
	@python=$$(command -v python3.11 || command -v python3) && "$$python" -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info[:2] != (3, 11) and f"videoproc needs Python 3.11, and {sys.executable} is {v}: install python3.11")' && "$$python" -m venv .venv
	@echo "installing into .venv, which takes some minutes"
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt "torch==2.13.0" -e ".[dev]" && touch $@

.PHONY: demo
demo: $(READY) ## make a small corpus and run the whole night on it
	@$(PY) -m pipelines.nightly --config pipelines/demo.yaml

.PHONY: test
test: $(READY) ## run the quick tests
	@$(PY) -m pytest -m "not slow"

.PHONY: test-slow
test-slow: $(READY) ## run the long tests: clusters, faults, kills
	@$(PY) -m pytest -m slow

.PHONY: bench-media
bench-media: $(PEERS) ## measure the media engine beside its peers (DATA_DIR=clips and surveillance_fights ARGS="--profile")
	@[ -n "$(DATA_DIR)" ] || { echo 'which videos? make bench-media DATA_DIR=DIR, which holds clips/ and surveillance_fights/' >&2; exit 2; }
	@$(PY) -m benchmarks.media.speed --data "$(DATA_DIR)" $(ARGS)

$(PEERS): $(READY)
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[bench]" && touch $@

.PHONY: lint
lint: $(READY) ## check style, format and import contracts
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/lint-imports

.PHONY: types
types: $(READY) ## check types
	@.venv/bin/mypy

.PHONY: train-distributed
train-distributed: $(READY) ## train on RAY_ADDRESS, the nodes of cluster-up, or a node of its own (DATA= MODEL= WORKERS= ARGS=)
	@[ -n "$$RAY_ADDRESS" ] || eval "$$($(PY) -m cluster env 2>/dev/null)"; \
	$(PY) -m pipelines.train --data $(DATA) --model $(MODEL) --workers $(WORKERS) $(ARGS)

.PHONY: cross-validate
cross-validate: $(READY) ## measure a model by cross-validation, folds side by side (DATA= MODEL= ARGS="--folds.by video")
	@[ -n "$$RAY_ADDRESS" ] || eval "$$($(PY) -m cluster env 2>/dev/null)"; \
	$(PY) -m pipelines.cross_validate --data $(DATA) --model $(MODEL) $(ARGS)

.PHONY: cluster-up
cluster-up: $(READY) ## start Ray on this machine (NODES=3 for several nodes, ARGS="--cpus 4")
	@$(PY) -m cluster up $(if $(NODES),--nodes $(NODES)) $(ARGS)

.PHONY: cluster-down
cluster-down: $(READY) ## end those nodes and the jobs on them
	@$(PY) -m cluster down

.PHONY: submit
submit: $(READY) ## run a job on the cluster (JOB=nightly CONFIG=nightly.yaml ARGS="--data DIR")
	@[ -n "$(JOB)" ] || { echo 'which job? make submit JOB=nightly [CONFIG=nightly.yaml] [ARGS="--data DIR"]' >&2; exit 2; }
	@$(PY) -m cluster submit $(JOB) $(if $(CONFIG),--config "$(CONFIG)") $(ARGS)

.PHONY: mlflow
mlflow: $(READY) ## show the runs at http://127.0.0.1:5000 (PORT=)
	@echo "MLflow: http://127.0.0.1:$(PORT)/#/experiments?workflowType=machine_learning (Ctrl-C ends it)" && mkdir -p "$(VIDEOPROC_WORKSPACE)"
	@.venv/bin/mlflow server --host 127.0.0.1 --port $(PORT) --backend-store-uri "sqlite:///$(VIDEOPROC_WORKSPACE)/mlflow.db" --artifacts-destination "$(VIDEOPROC_WORKSPACE)/mlartifacts"
