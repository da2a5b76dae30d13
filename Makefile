# `make demo` and `make test` set everything up themselves; they need Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed
# For the tests of models in this process. Of this release pip takes the CPU build where it finds one, 0.2 GB to download; the
# build for GPUs brings some GB with it. `make test TORCH=` does without both, and leaves these tests out.
TORCH ?= torch==2.13.0
MODELS := $(if $(TORCH),$(VENV)/.installed-models)

.PHONY: help setup demo test check format bench notebooks notebooks-update clean

help:
	@echo "make demo    a question answered by the compiler and by a sequential loop, offline"
	@echo "make test    all tests; the first time it installs PyTorch"
	@echo "make check   format, lint, types, imports"
	@echo "make format  rewrite the code in the project's format"
	@echo "make bench   the measurements of the README"
	@echo "make notebooks         runs all notebooks, offline; nothing is rewritten"
	@echo "make notebooks-update  the same, and keeps the new outputs"

setup: $(STAMP) $(MODELS)

$(STAMP): pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  (echo "llmcompiler needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) ..."
	@$(PIP) -e '.[dev,bench,notebook]'
	@touch $@

$(VENV)/.installed-models: $(STAMP)
	@echo "adding PyTorch to $(VENV) ..."
	@$(PIP) "$(TORCH)" -e '.[local]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/llmcompiler demo

test: $(STAMP) $(MODELS)
	@$(BIN)/python -m pytest $(if $(MODELS),,--ignore=tests/local)

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP)
	@$(BIN)/llmcompiler bench overhead

# Without a key, whatever the environment holds: offline, and at nobody's cost.
notebooks: $(STAMP)
	@env -u OPENAI_API_KEY -u OPENAI_BASE_URL $(BIN)/python notebooks/run.py

notebooks-update: $(STAMP)
	@env -u OPENAI_API_KEY -u OPENAI_BASE_URL $(BIN)/python notebooks/run.py --update

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
