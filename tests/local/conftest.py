"""A tiny transformer with random weights, made here and loaded from its folder as any other."""

import pytest

from llmcompiler.testing.checkpoint import make_checkpoint


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Compute in one thread: a model this small gains nothing by more, and they wait for each other on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="session")
def checkpoint(folder):
    from llmcompiler.models.local.checkpoint import load

    return load(folder)
