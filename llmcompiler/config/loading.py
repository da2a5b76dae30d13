"""Loading a configuration file: everything that is wrong with it is found, then told at once.

file ─▶ documents.py (strict YAML, places) ─▶ schema.py (pydantic) ─▶ tools imported, as far as allowed ─▶ Config
"""

import inspect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from llmcompiler._resources import bundled
from llmcompiler.config.choices import DEFAULT_STRATEGY, foreign
from llmcompiler.config.complaints import complain, described
from llmcompiler.config.config import Config, ModelChoice, Role, config_of
from llmcompiler.config.documents import Document, KeyPath, Place, Problem, key_text, read_document
from llmcompiler.config.schema import ConfigSection, ToolSection
from llmcompiler.errors import ConfigError, UsageError
from llmcompiler.execution.targets import target_of
from llmcompiler.models.provider import is_local
from llmcompiler.plan.diagnostics import nearest
from llmcompiler.prompting import example_problem, joiner_system, load_examples, planner_system
from llmcompiler.toolkit.langchain import is_base_tool
from llmcompiler.toolkit.loader import Allowed, CodeNotAllowed, load, read_source
from llmcompiler.toolkit.registry import Registry
from llmcompiler.toolkit.tool import Tool, tool

AllowCode = str | Path | Iterable[str | Path]
MAX_TOLD = 50  # problems in a text; the error itself holds all


@dataclass(frozen=True, slots=True)
class ToolFound:
    """One entry under `tools`: its place, what it names, and the tool, None where that could not be made."""

    place: Place
    use: str
    tool: Tool[..., Any] | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file comes to. `config` is None if there are problems; problems and notes are in the order of the file.

    notes: examples that are left out, since they are no plans for these tools.
    """

    path: Path
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    tools: tuple[ToolFound, ...]
    config: Config | None


def load_config(path: str | Path, *, allow_code: AllowCode = ()) -> Config:
    """Return what a configuration file says. Raises `ConfigError`, which holds every problem, or `UsageError`.

    allow_code: folders and packages from which the tools that the file names may be imported. The bundled example tools
    need no permission.
    """
    found = inspect_config(path, allow_code=allow_code)
    if found.config is None:
        count = len(found.problems)
        head = f"{found.path} has {count} problem{'s' if count > 1 else ''}"
        raise ConfigError("\n".join([head, *told_all(found)]), problems=found.problems)
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


def told_all(found: Inspection) -> list[str]:
    """Return a line for each problem, up to a sensible number of them."""
    lines = [told(found.path, problem) for problem in found.problems[:MAX_TOLD]]
    more = len(found.problems) - MAX_TOLD
    return [*lines, f"and {more} more"] if more > 0 else lines


def inspect_config(path: str | Path, *, allow_code: AllowCode = ()) -> Inspection:
    """Return what a configuration file comes to, with every problem that it has. Raises `UsageError` without a file."""
    allowed = Allowed(allow_code, trusted=[bundled("tools")])
    document = read_document(find_config(path))
    section = None
    tools: list[ToolFound] = []
    if isinstance(document.data, Mapping):
        section = _section(document)
        tools = _tools(document, allowed)
        _check_names(document, tools)
    elif not document.problems:
        document.complain((), f"expected a mapping, such as `tools: [...]`; found {described(document.data)}")
    config = None
    if section is not None and not document.problems:
        config = config_of(document.file, section, Registry([found.tool for found in tools]))
        _check_prompts(document, config)
        _check_engine(document, config)
        _check_folders(document, config)
    in_order = sorted(dict.fromkeys(document.problems), key=lambda problem: problem.place)
    problems = tuple(problem for problem in in_order if problem.kind != "note")
    notes = tuple(problem for problem in in_order if problem.kind == "note")
    return Inspection(document.file, problems, notes, tuple(tools), None if problems else config)


def find_config(path: str | Path) -> Path:
    """Return the file at a path; one under `configs/` that is not there is looked for among the bundled ones.

    Raises `UsageError` if there is none, or a folder.
    """
    file = Path(path)
    try:
        if file.exists() and not file.is_dir():  # a pipe is welcome, as of `--config <(...)`
            return file
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(file)[:300]!r} is no path: {error}"[:500]) from error
    folder = bundled("configs")
    names = [found.name for found in folder.glob("*.yaml") if "." not in found.stem]
    may_be_bundled = file.parent in (Path("configs"), Path())
    if may_be_bundled and file.name in names:
        return folder / file.name
    if file.is_dir():
        within = sorted(str(found) for found in file.glob("*.y*ml") if found.is_file())
        holds = f"it holds {', '.join(within[:3])}" if within else "it holds no YAML file"
        raise UsageError(f"{file} is a folder, and a file is needed; {holds}")
    known = {name: folder / name for name in names if may_be_bundled}
    known |= {found.name: found for found in file.parent.glob("*.y*ml")}
    near = [f"; did you mean {known[name]}?" for name in nearest(file.name, known, count=1)]
    raise UsageError(f"there is no file {file}{''.join(near)}")


def _section(document: Document) -> ConfigSection | None:
    _check_strategy(document)
    try:
        return ConfigSection.model_validate(document.data)
    except ValidationError as error:
        complain(document, error)
        return None


def _check_strategy(document: Document) -> None:
    """Note keys for which the strategy has no use. Before anything else is known of the file, so that all is told."""
    said: Any = document.data
    name = said.get("strategy", DEFAULT_STRATEGY)
    for key, users in foreign(name).items():
        if key in said:
            why = f"the strategy {name} has no use for this, which is for {' and '.join(users)}"
            document.complain((key,), f"{key}: {why}; remove it")


def _check_prompts(document: Document, config: Config) -> None:
    """Note examples that will be left out, and templates whose slots are wrong, as an agent would find them."""
    usable = []
    for number, (question, plan) in enumerate(load_examples("general" if config.examples is None else config.examples)):
        problem = example_problem(plan, config.registry)
        if problem is None:
            usable.append((question, plan))
        elif config.examples is not None:
            why = "; ".join(dict.fromkeys(diagnostic.message for diagnostic in problem.diagnostics)) or str(problem)
            said = f"the example {question[:60]!r} is left out, since it is no plan for these tools: {why}"
            document.complain(("examples", number), f"examples: {said}", "note")
    fills = {
        "planner_prompt": partial(planner_system, config.planner_prompt, config.registry, usable, config.instructions),
        "joiner_prompt": partial(joiner_system, config.joiner_prompt, "rule", config.instructions),
    }
    for key, fill in fills.items():
        try:
            fill()
        except UsageError as error:
            document.complain((key,), f"{key}: {error}")


def _check_engine(document: Document, config: Config) -> None:
    """Note an engine of AsyncLM that the model does not fit, as an agent would find it."""
    wanted = {"local": "local:NAME", "completions": "openai:NAME"}.get(config.engine)
    if config.strategy != "asynclm" or wanted is None or config.model is None:
        return
    name = config.model.name
    if is_local(name) != is_local(wanted):
        document.complain(("engine",), f'engine: {config.engine} takes a model "{wanted}"; this file names {name}')


def _check_folders(document: Document, config: Config) -> None:
    """Note models in this process whose folder is not there, as a run would find them."""
    for role in get_args(Role):
        choice: ModelChoice | None = getattr(config, role)
        if choice is None or not is_local(choice.name):
            continue
        folder = choice.name.removeprefix("local:")
        if folder.startswith((".", "/", "~")) and not _is_folder(folder):
            path = (role, "name") if (role, "name") in document.values else (role,)
            document.complain(path, f"{key_text(path)}: {choice.name}: there is no such folder")


def _is_folder(name: str) -> bool:
    try:
        return Path(name).expanduser().is_dir()
    except (OSError, RuntimeError):  # a name that is too long, the home of nobody
        return False


def _tools(document: Document, allowed: Allowed) -> list[ToolFound]:
    """Return the entries under `tools`; one that cannot be used leaves its problem in the document."""
    assert isinstance(document.data, Mapping)
    entries = document.data.get("tools")
    found = []
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        path: KeyPath = ("tools", number)
        said = {"use": entry} if isinstance(entry, str) else entry
        try:
            found.append(_tool_found(document, path, ToolSection.model_validate(said), allowed))
        except ValidationError:  # told with the rest of the file
            _check_use(document, path, said, allowed)
    return found


def _check_use(document: Document, path: KeyPath, said: Any, allowed: Allowed) -> None:
    """Note what is wrong with the code of an entry in which something else is wrong too."""
    with suppress(ValidationError):
        section = ToolSection.model_validate({"use": said.get("use") if isinstance(said, Mapping) else None})
        _tool_found(document, path, section, allowed)


def _tool_found(document: Document, path: KeyPath, section: ToolSection, allowed: Allowed) -> ToolFound:
    missing = ToolFound(document.place(path), section.use.code, None)
    use = (*path, "use") if (*path, "use") in document.values else path
    try:
        found = _found(section, document.file.parent, allowed)
    except UsageError as error:
        kind = "not_allowed" if isinstance(error, CodeNotAllowed) else "mistake"
        document.complain(use, f"{key_text(use)}: {error}", kind)
        return missing
    try:
        made = _made(found, section)
        if made.tier == "process":
            target_of(made.function)
    except UsageError as error:
        document.complain(path, f"{key_text(path)}: {error}")
        return missing
    return replace(missing, tool=made)


def _found(section: ToolSection, folder: Path, allowed: Allowed) -> Any:
    """Return what an entry names: a tool, a function, or a LangChain tool, if need be an instance of its class."""
    found = load(read_source(section.use.code, folder), allowed)
    if section.use.langchain is None:
        return found
    made = _instance(found, section.use.init)
    if not is_base_tool(made):
        raise UsageError(f"{section.use.code} is no tool of LangChain; name it as python: {section.use.code}")
    return made


def _instance(found: Any, init: Mapping[str, Any] | None) -> Any:
    """Return an object of a class, made with `init`; what is no class stays as it is."""
    if not inspect.isclass(found):
        if init is not None:
            raise UsageError("init is for a class; this is an object already")
        return found
    try:
        return found(**(init or {}))
    except (Exception, SystemExit) as error:
        raise UsageError(f"{found.__name__} cannot be made: {_why(error)}") from error


def _why(error: BaseException) -> str:
    """Return what an error says; pydantic's without the input, which may be a secret."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'init'}: {each['msg']}" for each in found)


def _made(found: Any, section: ToolSection) -> Tool[..., Any]:
    """Return a tool with all that an entry says of it."""
    made: Tool[..., Any] = found if isinstance(found, Tool) else _plain_tool(found, section)
    named = ("name", "description", "effect", "parameters", "returns")
    spec = {name: getattr(section, name) for name in named if getattr(section, name) is not None}
    return made.revised(spec, section.policy)


def _plain_tool(found: Any, section: ToolSection) -> Tool[..., Any]:
    """Return a tool of what is none yet; a lambda needs the name, an odd signature the parameters that the entry gives."""
    if is_base_tool(found):
        return tool(isolate=section.isolate)(found)  # which of its two bodies is taken depends on it
    return tool(name=section.name, parameters=section.parameters)(found)


def _check_names(document: Document, tools: Iterable[ToolFound]) -> None:
    first: dict[str, Place] = {}
    for found in tools:
        if found.tool is None:
            continue
        name = found.tool.spec.name
        if name in first:
            line = first[name].line
            said = f"two tools are named {name!r}, the first in line {line}; give one of them another `name`"
            document.complain_at(found.place, said)
        first.setdefault(name, found.place)
