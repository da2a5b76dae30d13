"""Loading functions from Python files. Loading runs code, so callers say which files they mean."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.toolkit.tool import Tool, as_tool


def load_module(path: Path) -> ModuleType:
    """Return the module in a Python file, loaded once a process. Raises `UsageError` if it cannot be loaded."""
    path = path.resolve()
    name = f"llmcompiler_file_{path.stem}_{abs(hash(str(path))):x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, (Exception, SystemExit)):
            raise UsageError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
        raise
    return module


def load_tool(path: Path, name: str) -> Tool[..., Any]:
    """Return the tool `name` of a Python file. Raises `UsageError` if there is none."""
    module = load_module(path)
    if not hasattr(module, name):
        names = [found for found in vars(module) if not found.startswith("_")]
        raise UsageError(f"{path} has no {name!r}; {did_you_mean(name, names)}")
    return as_tool(getattr(module, name))
