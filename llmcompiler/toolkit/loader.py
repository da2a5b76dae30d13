"""Loading tools from code that a text names. Loading runs code, so only what the caller allows is imported.

    ../tools/knowledge.py::search     a function in a file, relative to the file that names it
    package.module:function           a function in an importable module

What is named must be a tool object, or a function, a class or an object of a class defined in allowed code: an `os.system`
that an allowed file has imported is neither.
"""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from llmcompiler.errors import UsageError
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.toolkit.langchain import is_base_tool
from llmcompiler.toolkit.tool import Tool


class CodeNotAllowed(UsageError):
    """A text names code that the caller did not allow to be imported."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where something named in a text is: `name` in the file at `path`, or in the importable `module`."""

    name: str
    path: Path | None = None
    module: str = ""

    def __str__(self) -> str:
        return f"{self.path}::{self.name}" if self.path else f"{self.module}:{self.name}"


def read_source(text: str, folder: Path) -> Source:
    """Return the source that a text names; paths are relative to `folder`. Raises `UsageError` for what names none."""
    place, is_file, name = text.partition("::")
    if not is_file:
        place, _, name = text.rpartition(":")
    is_path = bool(is_file) and place.endswith(".py")
    is_module = not is_file and not place.endswith(".py") and all(part.isidentifier() for part in place.split("."))
    if not name.isidentifier() or name.startswith("_") or not (is_path or is_module):
        raise UsageError(f'{text!r} names no function: write "file.py::function" or "package.module:function"')
    if not is_path:
        return Source(name, module=place)
    path = folder / place
    try:
        path.exists()  # else what is too long would be told only where it is opened
        return Source(name, path.resolve())
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
        raise UsageError(f"{place!r} is no path: {getattr(error, 'strerror', None) or error}") from error


class Allowed:
    """Which code may be imported: folders, files and packages."""

    def __init__(self, places: str | Path | Iterable[str | Path], trusted: Iterable[Path] = ()) -> None:
        self._folders = [folder.resolve() for folder in trusted]
        self._packages: list[str] = []
        if not isinstance(places, Iterable) and not isinstance(places, Path):
            raise UsageError(f"allow_code takes folders and packages, not {places!r}")
        for place in [places] if isinstance(places, (str, Path)) else places:
            if not isinstance(place, (str, Path)) or not str(place).strip():
                raise UsageError(f"allow_code takes folders and packages, not {place!r}")
            if _is_path(place):
                self._folders.append(_existing(Path(place)))
            else:
                self._packages.append(str(place))

    def check(self, source: Source) -> None:
        """Raise `CodeNotAllowed` if what a source names may not be imported."""
        if source.path is not None:
            if not self._has_file(source.path):
                meant = [name for name in self._packages if source.path.is_relative_to(Path(name).resolve())]
                how = (
                    f"{meant[0]} allows a package; the folder is {meant[0]}/"
                    if meant
                    else _how(_as_typed(source.path.parent))
                )
                raise CodeNotAllowed(f"{source.path} is not in allowed code; {how}")
        elif not self.has_module(source.module):
            raise CodeNotAllowed(f"{source.module} is not allowed code; {_how(source.module.partition('.')[0])}")

    def has_module(self, module: str) -> bool:
        """Return whether a module, by its name, belongs to an allowed package."""
        return any(module == package or module.startswith(f"{package}.") for package in self._packages)

    def has_code_of(self, module: str) -> bool:
        """Return whether the code of a module that is imported already is allowed, by its name or its file."""
        file = getattr(sys.modules.get(module), "__file__", None)
        return self.has_module(module) or (isinstance(file, str) and self._has_file(Path(file).resolve()))

    def _has_file(self, file: Path) -> bool:
        return any(file.is_relative_to(folder) for folder in self._folders)


def _how(place: str) -> str:
    return f'allow it with allow_code=["{place}"] (--allow-code {place}) if you trust it'


def _as_typed(folder: Path) -> str:
    """Return a folder as one would name it: what lies below the current one relative to that, with its slash."""
    here = Path.cwd()
    return f"{folder.relative_to(here)}/" if folder.is_relative_to(here) else str(folder)


def _is_path(place: str | Path) -> bool:
    text = str(place)
    return isinstance(place, Path) or "/" in text or "\\" in text or text.startswith(".") or text.endswith(".py")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"allow_code names {path}, which does not exist")
    return path.resolve()


def load(source: Source, allowed: Allowed) -> Any:
    """Return what a source names.

    Raises `CodeNotAllowed`, or `UsageError` if it cannot be loaded, is not there, or comes from elsewhere.
    """
    allowed.check(source)
    module = load_module(source.path) if source.path else _import(source.module)
    found = _attribute(module, source)
    if _is_tool(found):
        return found
    if not callable(found):  # not what it is: it may be a secret
        raise UsageError(f"{source} is of type {type(found).__name__}, which is no tool; name a function")
    home = _home(found)
    if home != module.__name__ and not allowed.has_code_of(home):
        raise CodeNotAllowed(
            f"{source} comes from {home}, which is not allowed code; wrap it in a function of your own"
        )
    return found


def _attribute(module: ModuleType, source: Source) -> Any:
    try:
        return getattr(module, source.name)
    except AttributeError:
        names = [name for name, value in vars(module).items() if not name.startswith("_") and callable(value)]
        said = f"{source.path or source.module} has no {source.name!r}; {did_you_mean(source.name, names)}"
        raise UsageError(said.rstrip("; ")) from None
    except Exception as error:  # a __getattr__ of the module
        raise UsageError(f"{source} cannot be loaded: {type(error).__name__}: {error}") from error


def _is_tool(found: object) -> bool:
    return isinstance(found, Tool) or (is_base_tool(found) and not inspect.isclass(found))


def _home(found: Callable[..., Any]) -> str:
    """Return the module in which a function, a class or the class of a callable object is defined."""
    is_defined = inspect.isroutine(found) or inspect.isclass(found)
    return str(getattr(inspect.unwrap(found) if is_defined else type(found), "__module__", ""))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except BaseException as error:
        if not isinstance(error, (Exception, SystemExit)):
            raise
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]
        hint = f"; install it, or name a file: {name.replace('.', '/')}.py::function" if is_missing else ""
        raise UsageError(f"{name} cannot be imported: {type(error).__name__}: {error}{hint}") from error


def load_module(path: Path) -> ModuleType:
    """Return the module in a Python file, loaded once a process. Raises `UsageError` if it cannot be loaded."""
    path = path.resolve()
    name = f"llmcompiler_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
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
