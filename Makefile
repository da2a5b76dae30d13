# `make demo` and `make test` set everything up themselves; they need Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Where pip finds PyTorch's CPU build of this release it takes that, a fifth of a gigabyte; TORCH= leaves the choice to pip.
TORCH ?= torch==2.13.0

.PHONY: help setup demo test test-local check format bench notebooks notebooks-update clean

help:
	@echo "make demo    a question answered by the compiler and by a sequential loop, offline"
	@echo "make test    all tests"
	@echo "make test-local        those of models in this process; installs PyTorch"
	@echo "make check   format, lint, types, imports"
	@echo "make format  rewrite the code in the project's format"
	@echo "make bench   the measurements of the README"
	@echo "make notebooks         runs all notebooks, offline; nothing is rewritten"
	@echo "make notebooks-update  the same, and keeps the new outputs"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  (echo "llmcompiler needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench,notebook]'
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/llmcompiler demo

test: $(STAMP)
	@$(BIN)/python -m pytest

# Models in this process: their tests are a command of their own, since PyTorch and transformers are larger than all the rest.
test-local: $(STAMP)
	@test -z "$(TORCH)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local]'
	@$(BIN)/python -m pytest tests/local

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
