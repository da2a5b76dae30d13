"""Fixtures of test_processes and test_process_targets."""

import os
from pathlib import Path

import pytest

from llmcompiler.execution.processes import ProcessExecutor


@pytest.fixture(scope="module")
def shared():
    """An executor whose workers have loaded the tools, for tests that leave it as it was."""
    executor = ProcessExecutor(2)
    executor.prestart(2)
    yield executor
    executor.close()


@pytest.fixture
def executor():
    executor = ProcessExecutor(2)
    yield executor
    executor.close()


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A FIFO: reading it waits until a tool has written its process id, that is, until it runs."""
    path = tmp_path / "ready"
    os.mkfifo(path)
    return path
