"""One checkpoint in memory, and the one thread in which it is loaded and computes.

The thread is of `concurrent.futures`, which waits for it when the interpreter exits: to end a thread inside torch kills the
process. What it waits for is short, a step or a piece of a prompt, unless a model is just being loaded.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from llmcompiler.errors import UsageError
from llmcompiler.models.local.checkpoint import Checkpoint, load
from llmcompiler.models.local.generation import Banned, Generation, Sampling

T = TypeVar("T")

_SIGN_OF_LIFE = 5.0  # seconds


class Host:
    """Loads a checkpoint and lets generations take turns at it. It is loading from the beginning on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmcompiler-local")
        self._loading: Future[Checkpoint] = self._thread.submit(load, name)

    @property
    def has_failed(self) -> bool:
        """Return whether the checkpoint could not be loaded."""
        return self._loading.done() and self._loading.exception() is not None

    async def loading(self) -> AsyncIterator[None]:
        """Wait until the checkpoint is there; yield now and then meanwhile. Raises the `ModelError` of a failure."""
        loading = asyncio.shield(asyncio.wrap_future(self._loading))
        while not loading.done():
            await asyncio.wait({loading}, timeout=_SIGN_OF_LIFE)
            yield
        await loading

    @property
    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint, once it is loaded."""
        return self._loading.result(timeout=0)

    async def compute(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, run in the thread, after what others have asked for. Whoever is cancelled leaves."""
        return await asyncio.wrap_future(self._thread.submit(work))


class Decoding:
    """A generation whose steps are computed in the host's thread, so that the event loop goes on meanwhile."""

    def __init__(self, host: Host, prompt: list[int], sampling: Sampling) -> None:
        self.checkpoint = host.checkpoint
        self.generation = Generation(host.checkpoint, prompt, sampling)
        self._host = host

    async def step(self, banned: Banned | None = None) -> int:
        """Return the next token. A long prompt is read piece by piece, so that others have their turn in between."""
        while self.generation.has_backlog:
            await self._host.compute(self.generation.catch_up)
        return await self._host.compute(partial(self.generation.step, banned))

    async def pause(self, seconds: float | None) -> bool:
        """Return whether the cache is kept for a wait of so many seconds, None for one of unknown length."""
        return await self._host.compute(partial(self.generation.pause, seconds))


def check_installed(what: str) -> None:
    """Raise `UsageError` if the extra `local` is not installed, which `what` needs."""
    missing = [module for module in ("torch", "transformers") if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"{what} needs {' and '.join(missing)}: pip install 'llmcompiler-engine[local]' (for a machine without a "
            "GPU install PyTorch's CPU build first; it is far smaller)"
        )


# Weights of one name are in memory once, as long as somebody uses them: planner and joiner are mostly one model.
_hosts: WeakValueDictionary[str, Host] = WeakValueDictionary()
_lock = threading.Lock()


def host_of(name: str) -> Host:
    """Return the host of a folder or of a name on the hub. Raises `UsageError` if there is no such folder."""
    check_installed(f"local:{name}")
    path = Path(name).expanduser()
    if path.is_dir():
        name = str(path.resolve())
        if not (path / "config.json").is_file():
            raise UsageError(f"local:{name}: this folder holds no model: there is no config.json")
    elif name.startswith((".", "/", "~")):
        raise UsageError(f"local:{name}: there is no such folder")
    with _lock:
        host = _hosts.get(name)
        if host is None or host.has_failed:
            host = _hosts[name] = Host(name)
        return host
