"""Loading a configuration file: everything that is wrong with it is found, then told at once.

file ─▶ documents.py (strict YAML, places) ─▶ schema.py (pydantic) ─▶ tools imported, as far as allowed ─▶ Config
"""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmcompiler._resources import bundled
from llmcompiler.config.complaints import complain, key_text
from llmcompiler.config.config import Config, config_of
from llmcompiler.config.documents import Document, KeyPath, Place, Problem, read_document
from llmcompiler.config.schema import COMPILER_ONLY, ConfigSection, ModelSection, ToolSection
from llmcompiler.errors import ConfigError, UsageError
from llmcompiler.execution.targets import target_of
from llmcompiler.models.provider import provider_and_name
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.toolkit.loader import Allowed, CodeNotAllowed, load, read_source
from llmcompiler.toolkit.registry import Registry
from llmcompiler.toolkit.tool import Tool, as_tool

AllowCode = str | Path | Iterable[str | Path]


@dataclass(frozen=True, slots=True)
class ToolFound:
    """One entry under `tools`: its place, what it names, and the tool, None where that could not be made."""

    place: Place
    use: str
    tool: Tool[..., Any] | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file comes to. `config` is None if there are problems; problems are in the order of the file."""

    path: Path
    problems: tuple[Problem, ...]
    tools: tuple[ToolFound, ...]
    config: Config | None


def load_config(path: str | Path, *, allow_code: AllowCode = ()) -> Config:
    """Return what a configuration file says. Raises `ConfigError`, which holds every problem, or `UsageError`.

    allow_code: folders and packages from which the tools that the file names may be imported. The bundled example tools
    need no permission.
    """
    found = inspect_config(path, allow_code=allow_code)
    if found.config is None:
        raise ConfigError("\n".join(told(found.path, problem) for problem in found.problems), problems=found.problems)
    return found.config


def load_tools(path: str | Path, *, allow_code: AllowCode = ()) -> Registry:
    """Return the tools that a configuration file names. Parameters and errors as of `load_config`."""
    return load_config(path, allow_code=allow_code).registry


def config_for(strategy: str, config: str | Path | Config, allow_code: AllowCode) -> Config:
    """Return the config for a strategy. Raises `UsageError` if it is meant for another one."""
    said = config if isinstance(config, Config) else load_config(config, allow_code=allow_code)
    if said.strategy != strategy:
        raise UsageError(f"{said.path} says `strategy: {said.strategy}`, and this is the strategy {strategy}")
    return said


def told(path: Path, problem: Problem) -> str:
    """Return a problem as a line that an editor can follow: file:line:column: what."""
    return f"{path}:{problem.place.line}:{problem.place.column}: {problem.message}"


def inspect_config(path: str | Path, *, allow_code: AllowCode = ()) -> Inspection:
    """Return what a configuration file comes to, with every problem that it has. Raises `UsageError` without a file."""
    file = find_config(path)
    document = read_document(file)
    section = None
    tools: list[ToolFound] = []
    if not document.problems and not isinstance(document.data, Mapping):
        document.complain((), "a configuration is a mapping, such as `tools: [...]`")
    if isinstance(document.data, Mapping):
        section = _section(document)
        tools = _tools(document, Allowed(allow_code, trusted=[bundled("tools")]))
        _check_names(document, tools)
    problems = tuple(sorted(set(document.problems), key=lambda problem: problem.place))
    registry = Registry([found.tool for found in tools if found.tool is not None]) if not problems else None
    config = None if section is None or registry is None else config_of(file, section, registry)
    return Inspection(file, problems, tuple(tools), config)


def find_config(path: str | Path) -> Path:
    """Return the file at a path; one under `configs/` that is not there is looked for among the bundled ones."""
    file = Path(path)
    if file.is_file():
        return file
    folder = bundled("configs")
    names = sorted(found.name for found in folder.glob("*.yaml") if "." not in found.stem)
    if file.parent in (Path("configs"), Path()) and file.name in names:
        return folder / file.name
    raise UsageError(f"there is no file {file}; {did_you_mean(file.name, names)} (the bundled ones)")


def _section(document: Document) -> ConfigSection | None:
    try:
        section = ConfigSection.model_validate(document.data)
    except ValidationError as error:
        complain(document, error)
        return None
    for role in ("model", "planner_model", "joiner_model"):
        _check_model(document, role, getattr(section, role))
    _check_examples(document, section)
    if section.strategy != "compiler":
        for key in sorted(section.model_fields_set & COMPILER_ONLY):
            document.complain((key,), f"{key}: the strategy {section.strategy} has no use for this; remove it")
    return section


def _check_model(document: Document, role: str, section: ModelSection | None) -> None:
    if section is None:
        return
    try:
        provider_and_name(section.name)
    except UsageError as error:
        path = (role, "name") if (role, "name") in document.values else (role,)
        document.complain(path, f"{key_text(path)}: {error}")


def _check_examples(document: Document, section: ConfigSection) -> None:
    if not isinstance(section.examples, str):
        return
    names = sorted(found.stem for found in (bundled("prompts") / "examples").glob("*.plan"))
    if section.examples not in names:
        said = f"there are no examples named {section.examples!r}; {did_you_mean(section.examples, names)}"
        document.complain(("examples",), f"examples: {said}")


def _tools(document: Document, allowed: Allowed) -> list[ToolFound]:
    """Return the entries under `tools`; one that cannot be used leaves its problem in the document."""
    assert isinstance(document.data, Mapping)
    entries = document.data.get("tools")
    found = []
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        path: KeyPath = ("tools", number)
        try:
            section = ToolSection.model_validate({"use": entry} if isinstance(entry, str) else entry)
        except ValidationError:
            continue  # told with the rest of the file
        found.append(_tool_found(document, path, section, allowed))
    return found


def _tool_found(document: Document, path: KeyPath, section: ToolSection, allowed: Allowed) -> ToolFound:
    place = document.place(path)
    use = (*path, "use") if (*path, "use") in document.values else path
    try:
        made = _made(section, document.file.parent, allowed)
    except CodeNotAllowed as error:
        document.complain(use, f"{key_text(use)}: {error}", "not_allowed")
        return ToolFound(place, section.use.code, None)
    except UsageError as error:
        document.complain(use, f"{key_text(use)}: {error}")
        return ToolFound(place, section.use.code, None)
    try:
        tool = _revised(made, section)
        if tool.tier == "process":
            target_of(tool.function)
    except UsageError as error:
        document.complain(path, f"{key_text(path)}: {error}")
        return ToolFound(place, section.use.code, None)
    return ToolFound(place, section.use.code, tool)


def _made(section: ToolSection, folder: Path, allowed: Allowed) -> Tool[..., Any]:
    """Return the tool in the code that an entry names."""
    found = load(read_source(section.use.code, folder), allowed)
    return as_tool(found if section.use.langchain is None else _instance(found, section.use.init))


def _instance(found: Any, init: Mapping[str, Any] | None) -> Any:
    """Return an object of a class, made with `init`; what is no class stays as it is."""
    if not inspect.isclass(found):
        if init is not None:
            raise UsageError("init is for a class; this is an object already")
        return found
    try:
        return found(**(init or {}))
    except Exception as error:
        raise UsageError(f"{found.__name__} cannot be made: {type(error).__name__}: {error}") from error


def _revised(tool: Tool[..., Any], section: ToolSection) -> Tool[..., Any]:
    named = ("name", "description", "effect", "parameters", "returns")
    spec = {name: getattr(section, name) for name in named if getattr(section, name) is not None}
    return tool.revised(spec, section.policy)


def _check_names(document: Document, tools: Iterable[ToolFound]) -> None:
    first: dict[str, Place] = {}
    for found in tools:
        if found.tool is None:
            continue
        name = found.tool.spec.name
        if name in first:
            said = (
                f"two tools are named {name!r}, the first in line {first[name].line}; give one of them another `name`"
            )
            document.problems.append(Problem(found.place, said))
        first.setdefault(name, found.place)
