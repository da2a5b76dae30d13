"""The command line. Exit code 0: complete; 1: failed or partial, with the reason on stderr; 2: wrong use."""

import asyncio
import gc
import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmcompiler import __version__
from llmcompiler._resources import bundled
from llmcompiler.errors import LLMCompilerError, RunFailed, UsageError
from llmcompiler.plan.diagnostics import did_you_mean
from llmcompiler.strategies.agent import Agent
from llmcompiler.strategies.catalogue import STRATEGIES
from llmcompiler.strategies.compiler import LLMCompiler
from llmcompiler.strategies.result import RunResult

if TYPE_CHECKING:
    from llmcompiler.config.config import Config
    from llmcompiler.config.loading import Inspection

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
out, err = Console(emoji=False), Console(emoji=False, stderr=True)

Question = Annotated[str, typer.Argument(help="What to answer.")]
ModelName = Annotated[str | None, typer.Option("--model", help="Such as openai:gpt-4.1-mini.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="An OpenAI-compatible server; or OPENAI_BASE_URL.")]
StrategyName = Annotated[
    str | None, typer.Option("--strategy", help="Such as compiler or react, instead of what the file says.")
]
ConfigFile = Annotated[
    str | None, typer.Option("--config", help="A YAML file with model, tools and limits; without it the example tools.")
]
AllowCode = Annotated[
    list[str] | None,
    typer.Option("--allow-code", help="A folder or package from which the file may import tools; may be repeated."),
]
SuiteName = Annotated[
    str,
    typer.Argument(
        help="overhead, parallelqa, hotpotqa, movie, game24, webshop, bfcl, asynclm[:SET,...]; or fetch, for data."
    ),
]
Contenders = Annotated[
    str | None,
    typer.Option("--strategies", help="Whom to compare: compiler,react and so on; asynclm: sync,async and so on."),
]
Count = Annotated[int | None, typer.Option("--n", min=1, help="Questions (asynclm: a set); else the usual number.")]
RecordFile = Annotated[
    str | None,
    typer.Option("--json", help="A file for the records, a line a question; a comparison goes on where it stopped."),
]
Grounds = Annotated[
    str | None,
    typer.Option("--ground", help="asynclm: where to measure, virtual,server (in real time),local (in this process)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"llmcompiler {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run many LLM tool calls fast, cheaply and safely: plan a DAG, start each task when its inputs exist, join."""


@app.command()
def run(
    question: Question,
    config: ConfigFile = None,
    allow_code: AllowCode = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    strategy: StrategyName = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question. Without --config by the example tools: search in a knowledge base, calculate, send_message."""
    from llmcompiler.observe.console import show_run, show_summary  # rich's live parts, when needed

    with _Told():
        said = _config(config, allow_code, strategy)
        agent = STRATEGIES[said.strategy].from_config(said, model=model, base_url=base_url)
        if as_json:
            result = _run_as_json(agent, question)
        else:
            result = asyncio.run(show_run({said.strategy: agent}, question, out))[said.strategy]
            show_summary(result, out)
    _exit_for(result)


@app.command()
def plan(
    question: Question,
    config: ConfigFile = None,
    allow_code: AllowCode = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan a question without running anything."""
    with _Told():
        said = _config(config, allow_code, "compiler")
        agent = LLMCompiler.from_config(said, model=model, base_url=base_url)
        made = asyncio.run(agent.plan(question))
        text = made.mermaid() if mermaid else str(made)
        if as_json:
            _print_json(json.loads(made.to_json()))
        else:
            out.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="A YAML file with model, tools and limits.")],
    allow_code: AllowCode = None,
    as_json: AsJson = False,
) -> None:
    """Check a configuration: every mistake with its place, the tools, their schemas and effects, what is imported."""
    from llmcompiler.config import report
    from llmcompiler.config.loading import inspect_config, told_all

    with _Told():
        found = inspect_config(file, allow_code=allow_code or ())
        if as_json:
            _print_json(report.as_json(found))
        else:
            _show_check(found)
    if found.problems:
        for line in told_all(found):
            err.print(Text(line), soft_wrap=True)
        raise typer.Exit(1)


@app.command()
def demo(
    number: Annotated[int, typer.Argument(help="Which question; see --list.")] = 1,
    listed: Annotated[bool, typer.Option("--list", help="List the questions.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Go through all questions.")] = False,
    config: ConfigFile = None,
    allow_code: AllowCode = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a question answered by the compiler, and beside it by a sequential tool loop.

    Runs on a recorded model unless OPENAI_API_KEY, OPENAI_BASE_URL, --base-url, --model or the file names a real one.
    """
    from llmcompiler.demo import demo_questions, slowed
    from llmcompiler.demo.show import show_demo

    questions = demo_questions()
    if listed:
        _list(questions)
        return
    if not everything and not 1 <= number <= len(questions):
        _wrong_use(f"there is no question {number}; `llmcompiler demo --list` lists 1 to {len(questions)}")
    named = model or base_url or os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")
    console = Console(quiet=True) if as_json else out
    chosen = questions if everything else questions[number - 1 : number]
    with _Told():
        said = _config(config, allow_code, None)
        is_real = named or said.names_server
        real = said.make_model("model", name=model, base_url=base_url) if is_real else None
        tools = slowed(said.registry) if config is None else said.registry
        ran = [asyncio.run(show_demo(question, tools, real, console)) for question in chosen]
    if as_json:
        told = [{title: result.to_dict() for title, result in results.items()} for results in ran]
        _print_json(told if everything else told[0])
    _exit_for(*(result for results in ran for result in results.values()))


@app.command()
def bench(
    suite: SuiteName = "overhead",
    strategies: Contenders = None,
    count: Count = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="How fast the oracle speaks: hosted_slow, hosted_fast or local.")
    ] = None,
    tool_time: Annotated[float, typer.Option("--tool-time", min=0.0, help="Multiplies the suite's tool times.")] = 1.0,
    grid: Annotated[bool, typer.Option("--grid", help="Speed-ups over all profiles and three tool times.")] = False,
    at_once: Annotated[int, typer.Option("--at-once", min=1, help="Runs side by side.")] = 8,
    data: Annotated[str | None, typer.Option("--data", help="The folder of the data; or LLMCOMPILER_DATA.")] = None,
    file: RecordFile = None,
    ground: Grounds = None,
    runs: Annotated[
        int | None, typer.Option("--runs", min=1, help="overhead: counted runs of each measure; 9 unless given.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="overhead: only measures whose name holds this; may be repeated.")
    ] = None,
) -> None:
    """Compare strategies on a benchmark, or measure what the framework costs (overhead).

    Without --model and --base-url an oracle plays an ideal model over loopback, at the speed of a profile: what differs is
    orchestration alone. With one, the same questions go to the real model.
    """
    from llmcompiler.bench import command
    from llmcompiler.bench.comparing.session import Request
    from llmcompiler.bench.comparing.settings import DEFAULT_PROFILE

    with _Told():
        is_asynclm = command.known_suite(suite).partition(":")[0] == "asynclm"
        speed = {"profile": profile, "tool-time": tool_time != 1, "grid": grid}
        asked = {"strategies": strategies, "n": count, "model": model, "base-url": base_url}
        command.refuse_unused(suite, {**speed, **asked, "ground": ground, "runs": runs, "only": only})
        if suite == "fetch":
            raise typer.Exit(0 if command.fetch_data(data, out, err) else 1)
        if suite == "overhead":
            command.measure_overhead(runs or 9, only or (), file, out, err)
            return
        if is_asynclm:
            measurement = command.measure_asynclm(suite, strategies, ground, count, data, file)
            raise typer.Exit(int(any(record.error for record in command.show_asynclm(measurement, out, err))))
        request = Request(
            suite=suite,
            contenders=command.contenders_named(suite, strategies),
            count=count,
            folder=Path(data) if data else None,
            model=command.real_model(model, base_url),
            profile=profile or DEFAULT_PROFILE,
            tool_time=tool_time,
            at_once=at_once,
            file=Path(file) if file else None,
        )
        records = (command.compare_in_grid if grid else command.compare)(request, out, err)
    if any(record.answer is None for record in records):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character shows "?"
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where it can be told; at the interpreter's end it would be exit code 120
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        gc.freeze()  # else the interpreter spends 150 ms of its end on a last collection


def _config(file: str | None, allow_code: list[str] | None, strategy: str | None) -> "Config":
    """Return what a file says, or the bundled one; with another strategy, if one is named."""
    from llmcompiler.config.loading import load_config

    if strategy not in (None, *STRATEGIES):
        raise UsageError(f"there is no strategy {strategy!r}; {did_you_mean(strategy or '', list(STRATEGIES))}")
    said = load_config(file or bundled("configs") / "demo.yaml", allow_code=allow_code or ())
    return replace(said, strategy=strategy or said.strategy)


def _show_check(found: "Inspection") -> None:
    from llmcompiler.config import report
    from llmcompiler.config.loading import told

    color = "red" if found.problems else "green"
    out.print(Text.assemble((f"{found.path}: ", "bold"), (report.verdict(found), color)), soft_wrap=True)
    for key, text in report.settings(found.config) if found.config else ():
        out.print(Text.assemble((f"  {key:14} ", "dim"), text), soft_wrap=True)
    for entry in found.tools:
        if entry.tool is None:
            out.print(Text.assemble("\n", (entry.use, "bold"), "  cannot be used"), soft_wrap=True)
            continue
        signature, effect, policy = report.tool_row(entry.tool)
        out.print(Text.assemble("\n", (signature, "bold"), f"  {effect}"), soft_wrap=True)
        out.print(Text(f"  from {entry.use}\n  {policy}", "dim"), soft_wrap=True)
    names = report.undeclared(found)
    if names:
        out.print(Text.assemble("\neffect undeclared: ", (", ".join(names), "yellow")), soft_wrap=True)
        out.print("  calls may start while the plan streams, and are neither shared nor cached", highlight=False)
    for note in found.notes:
        out.print(Text(f"\nnote: {told(found.path, note)}"), soft_wrap=True)


def _list(questions: list[Any]) -> None:
    table = Table("N", "question", "shows", box=None, padding=(0, 2, 0, 0))
    for question in questions:
        table.add_row(str(question.number), question.question, question.shows)
    out.print(table)


def _print_json(data: object) -> None:
    is_unicode = sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.write(json.dumps(data, ensure_ascii=not is_unicode, indent=2) + "\n")


def _run_as_json(agent: Agent, question: str) -> RunResult:
    try:
        result = agent.run(question)
    except RunFailed as failure:
        _print_json(failure.result.to_dict() | {"error": str(failure)})
        raise
    _print_json(result.to_dict())
    return result


def _exit_for(*results: RunResult) -> None:
    stopped = [result.stopped_by or "?" for result in results if result.status != "complete"]
    if stopped:
        _say("partial:", f"stopped by {', '.join(stopped)}")
        raise typer.Exit(1)


def _wrong_use(message: str) -> NoReturn:
    _say("error:", message)
    raise typer.Exit(2)


def _say(what: str, message: str) -> None:
    """Print to stderr, each line whole if it is no terminal."""
    err.print(Text(what, "red"), Text(message), soft_wrap=not err.is_terminal)


class _Told:
    """Turns our errors into a line on stderr and an exit code."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, UsageError):
            _wrong_use(str(error))
        if isinstance(error, LLMCompilerError):
            _say("failed:", str(error))
            raise typer.Exit(1)
        if isinstance(error, KeyboardInterrupt):
            err.print("interrupted")
            raise typer.Exit(1)
