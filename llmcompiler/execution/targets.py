"""Targets: how a function of this process is named so that another process finds it, and how that one finds it."""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from llmcompiler.errors import UsageError

IMPORTING = "LLMCOMPILER_WORKER"  # "1" in the environment while a worker imports the code of a tool


@dataclass(frozen=True, slots=True)
class Target:
    """The function that `qualname` names in an importable `module`, or in the file at `path` if one is given."""

    module: str
    qualname: str
    path: str | None = None


def target_of(function: Callable[..., object]) -> Target:
    """Return where another process finds `function`. Raises `UsageError` for one that has no name to be found by."""
    if not inspect.isroutine(function):
        function = getattr(function, "function", function)  # a decorated tool
    qualname = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)
    if not (inspect.isroutine(function) or inspect.isclass(function)) or qualname is None or module is None:
        raise UsageError(f"{function!r} cannot run in a process: it is an object; wrap it in a function of a module")
    if "<lambda>" in qualname:
        raise UsageError(
            f"a lambda of {module} cannot run in a process: it has no name; make it a function of a module"
        )
    if "<locals>" in qualname:
        raise UsageError(f"{qualname} of {module} cannot run in a process: it exists only inside another function")
    owner = getattr(function, "__self__", None)
    if owner is not None and not (inspect.isclass(owner) or inspect.ismodule(owner)):
        raise UsageError(
            f"{qualname} of {module} cannot run in a process: it is bound to an object that exists only here"
        )
    return (
        _main_target(qualname) if module == "__main__" else Target(module, qualname, _path_of(module, _file(function)))
    )


def _main_target(qualname: str) -> Target:
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return Target(spec.name, qualname)
    path = getattr(main, "__file__", None)
    if path is None or not Path(path).is_file():
        raise UsageError(
            f"{qualname} cannot run in a process: it was defined in a notebook or an interactive session; "
            "put it into a module, or use isolate='thread'"
        )
    return Target("__main__", qualname, str(Path(path).resolve()))


def _file(function: Callable[..., object]) -> str | None:
    """Return the file of the function's module, of which a loader may have left nothing in `sys.modules`."""
    known = getattr(inspect.unwrap(function), "__globals__", {})
    if known.get("__name__") != function.__module__:  # a decorator that copied the name, a builtin, a class
        known = getattr(sys.modules.get(function.__module__), "__dict__", {})
    file: str | None = known.get("__file__")
    return file


@lru_cache(maxsize=1024)
def _path_of(module: str, file: str | None) -> str | None:
    """Return the path of a module that was loaded by its path, None for one that is found by its name."""
    if file is None:
        return None
    top = module.partition(".")[0]
    for finder in sys.meta_path:  # importlib's own find_spec would answer from sys.modules
        spec = finder.find_spec(top, None)
        if spec is not None:
            found = spec.origin if module == top and spec.has_location else None
            return file if found and Path(found).resolve() != Path(file).resolve() else None
    return file


def load(target: Target) -> Any:
    """Return what `target` names. Raises whatever the import raises."""
    os.environ[IMPORTING] = "1"
    try:
        home = importlib.import_module(target.module) if target.path is None else _file_module(target.path)
    finally:
        del os.environ[IMPORTING]
    return reduce(getattr, target.qualname.split("."), home)


def _file_module(path: str) -> ModuleType:
    # Never as __main__: the main part of a script must not run again. The whole path, since two folders may have files
    # of one name; without dots, which would make it a module of a package.
    name = f"llmcompiler_worker:{path.replace('.', '_')}"
    if name in sys.modules:
        return sys.modules[name]
    loader = SourceFileLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look for their module there
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
