"""A tiny transformer with random weights, made here and loaded from its folder as any other."""

import pytest

from llmcompiler.testing.checkpoint import make_checkpoint


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="session")
def checkpoint(folder):
    from llmcompiler.models.local.checkpoint import load

    return load(folder)
