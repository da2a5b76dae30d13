"""A tiny transformer with random weights, made here and loaded from its folder as any other."""

import gc

import pytest

from llmcompiler.testing.checkpoint import make_checkpoint, one_thread


@pytest.fixture(scope="session", autouse=True)
def imported():
    """Import PyTorch and transformers here, at no other test's cost.

    What they consist of is frozen: 300,000 objects that stay for good, at which each later collection would look for a
    quarter of a second.
    """
    import transformers

    assert transformers.AutoModelForCausalLM
    assert transformers.LlamaForCausalLM
    gc.collect()
    gc.freeze()
    with one_thread():
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="session")
def checkpoint(folder):
    from llmcompiler.models.local.checkpoint import load

    return load(folder)
