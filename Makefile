# `make demo` and `make test` set everything up themselves; they need Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests need no GPU, and pip takes PyTorch's CPU build of this release where it can find it; TORCH= leaves the choice to pip.
TORCH ?= torch==2.13.0

.PHONY: help setup demo test check format bench clean

help:
	@echo "make demo    a question answered by the compiler and by a sequential loop, offline"
	@echo "make test    all tests"
	@echo "make check   format, lint, types, imports"
	@echo "make format  rewrite the code in the project's format"
	@echo "make bench   the measurements of the README"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  (echo "llmcompiler needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) ..."
	@test -z "$(TORCH)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench,local]'
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/llmcompiler demo

test: $(STAMP)
	@$(BIN)/python -m pytest

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

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
