"""A tiny transformer with random weights, made here and loaded from its folder as any other."""

import gc

import pytest

from llmcompiler.testing.checkpoint import make_checkpoint


@pytest.fixture(scope="session", autouse=True)
def torch():
    """Import PyTorch and transformers, so that no other test pays for it.

    One thread: a model this small gains nothing by more, and they wait for each other on a busy machine. What was imported
    is frozen: 300,000 objects that stay for good, at which every later collection would look for a quarter of a second.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    return torch


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="session")
def checkpoint(folder):
    from llmcompiler.models.local.checkpoint import load

    return load(folder)
