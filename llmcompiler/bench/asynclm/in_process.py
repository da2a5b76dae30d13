"""The ground of a model in this process: a small transformer with random weights, on AsyncLM's engine `local`.

Each token is forced to be the one that the ideal model writes. All else is real: passes, cache, what is read into it, times.
So this measures the engine, and no model's skill. A mode without a live cache asks the same model anew each time: by CML, by
native calls, which it writes in the form of its chat template, or for a plan and an answer.
"""

import json
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from llmcompiler.bench.asynclm.contenders import CONTENDERS, Contender
from llmcompiler.bench.asynclm.forced import FORCED_PIECES, AskedAnew, Floor, LiveEngine, calls_text
from llmcompiler.bench.asynclm.ground import Costs
from llmcompiler.bench.asynclm.ideal import (
    MARKS,
    TRAP_TOKENS,
    CmlIdeal,
    FuturesIdeal,
    await_arguments,
    join_line,
)
from llmcompiler.bench.asynclm.latency import ASYNC, Work
from llmcompiler.bench.asynclm.script import OWN_PACE, Cell, Script
from llmcompiler.bench.asynclm.workload import Workload
from llmcompiler.models.local.checkpoint import Checkpoint
from llmcompiler.models.local.host import check_installed
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Model
from llmcompiler.models.openai import function_of
from llmcompiler.prompting import bundled_prompt, describe_tools
from llmcompiler.strategies.asynclm.asynclm import AsyncLM
from llmcompiler.strategies.asynclm.chat import ChatEngine
from llmcompiler.strategies.asynclm.cml import interrupt
from llmcompiler.strategies.asynclm.engine import Engine
from llmcompiler.strategies.asynclm.futures import AWAIT
from llmcompiler.strategies.asynclm.local import LocalEngine
from llmcompiler.strategies.offering import Offering
from llmcompiler.strategies.runner import run_sync
from llmcompiler.testing.checkpoint import make_checkpoint, make_tokenizer, one_thread
from llmcompiler.testing.forcing import forced
from llmcompiler.testing.server import ToolCall, count_tokens
from llmcompiler.toolkit.registry import registry_of

T = TypeVar("T")

_CONTEXT = 65_536  # tokens
_TEXT = 8_192  # tokens at most, of one text
_TIMES = 5  # the pace is measured, at each length of the prompt
_WRITTEN = 100  # words, each time


@contextmanager
def in_process(scripts: Iterable[Script], workloads: Iterable[Workload]) -> Iterator["InProcess"]:
    """Yield the ground for these scripts, its pace measured. Raises `UsageError` without the extra `local`."""
    check_installed("the ground local")
    read = list(_read(workloads))
    with TemporaryDirectory() as folder:
        make_checkpoint(Path(folder), make_tokenizer(texts=[*_written(scripts), *read], pieces=FORCED_PIECES), _CONTEXT)
        model = LocalModel(folder, options={"max_tokens": _TEXT})
        floor = Floor()
        try:
            with one_thread(), forced(run_sync(_loaded(model)), floor.goes_on) as floor.given:
                ground = InProcess(model, floor)
                ground.measure(max(map(count_tokens, read)))
                yield ground
        finally:
            model.release()


async def _loaded(model: LocalModel) -> Checkpoint:
    async for _ in model.host.loading():
        pass
    return model.host.checkpoint


def _written(scripts: Iterable[Script]) -> Iterator[str]:
    """Yield texts that hold every piece of what is written and told: each is one token then, as on the other grounds."""
    for ideal in {script.ideal for script in scripts}:
        yield ideal.answer
        for step in ideal.steps:
            text = "".join(step.tokens)
            yield text
            yield interrupt(MARKS, step.name, json.dumps({"result": 100}))
            if isinstance(ideal, FuturesIdeal):
                yield calls_text([ToolCall(step.tool, text)] * 2)
        yield join_line(len(ideal.steps))
    yield calls_text([ToolCall(AWAIT, await_arguments(range(200)))] * 2)
    yield from ("".join(TRAP_TOKENS), "\n", _answer(1))
    yield from (f'{number}: {number} "$f{number}"' for number in range(1000))


def _read(workloads: Iterable[Workload]) -> Iterator[str]:
    """Yield what is read beside that, so that prompts have about as many tokens as on the other grounds."""
    yield from map(bundled_prompt, ("asynclm/agent", "asynclm/futures", "compiler/planner", "compiler/joiner"))
    for workload in workloads:
        registry = registry_of(workload.tools)
        yield from (part.row.question for part in workload.parts)
        yield describe_tools(registry)
        yield json.dumps([function_of(spec) for spec in Offering(registry.specs.values()).specs])


def _answer(words: int) -> str:
    return "Answer:" + " so" * words


class InProcess:
    """A `Ground`. Its pace is measured before anything is played, and is what predictions are made with."""

    name = "local"
    at_once = 1

    def __init__(self, model: LocalModel, floor: "Floor") -> None:
        self._per_token = 0.0  # seconds
        self._first_token = _Curve(())  # seconds, by tokens of the prompt
        self._model, self._floor = model, floor
        self._engine = LocalEngine(model)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns."""
        return run_sync(work)

    def voice(self, key: str, script: Script, contender: Contender) -> "InProcessVoice":
        """Return who plays a script."""
        ideal, costs = script.ideal, Costs()
        if isinstance(ideal, CmlIdeal) and script.keeps_cache:
            return InProcessVoice(LiveEngine(self._engine, ideal, self._floor, costs), costs)
        asked = AskedAnew(self._model, ideal, self._floor, costs)
        return InProcessVoice(ChatEngine(asked) if isinstance(ideal, CmlIdeal) else asked, costs)

    def cell(self, asked: Cell, prompt_tokens: int = 0, joiner_tokens: int = 0) -> Cell:
        """Return its own pace behind prompts of so many tokens, by what was measured beforehand."""
        first_token, later = self._first_token.at(prompt_tokens), self._first_token.at(joiner_tokens)
        per_read = self._first_token.at(prompt_tokens + 1) - first_token
        return Cell(*(1000 * max(0.0, each) for each in (self._per_token, first_token, per_read, per_read, later)))

    def measure(self, longest: int) -> None:
        """Measure the pace behind prompts of four lengths, up to `longest` tokens of tools."""
        measured = [self._median_of_some(longest // part) for part in (longest, 9, 3, 1)]
        self._first_token = _Curve([(costs.tokens_in, costs.starting) for costs in measured])
        self._per_token = measured[0].generating / measured[0].tokens_out  # it grows little with the prompt

    def _median_of_some(self, words: int) -> Costs:
        return sorted((self._costs_of_one(words) for _ in range(_TIMES)), key=lambda costs: costs.busy)[_TIMES // 2]

    def _costs_of_one(self, words: int) -> Costs:
        script = Script(CmlIdeal((), _answer(_WRITTEN)), Work(()), OWN_PACE.pace, keeps_cache=True)
        voice = self.voice("pace", script, CONTENDERS[ASYNC.name])
        agent = AsyncLM(voice.speaker)
        self.run(agent.arun("so" + " so" * words))
        agent.close()
        return voice.spent


@dataclass(frozen=True, slots=True)
class _Curve:
    """What goes through some points, in their order: between two of them, and beyond, it grows with a power of x."""

    points: Sequence[tuple[float, float]]

    def at(self, x: float) -> float:
        if not self.points:
            return 0.0
        beyond = next(
            (place for place, (known, _) in enumerate(self.points[1:-1], 1) if x < known), len(self.points) - 1
        )
        (x0, y0), (x1, y1) = self.points[beyond - 1 : beyond + 1]
        power = log(y1 / y0) / log(x1 / x0)
        return y0 * exp(power * log(max(x, 1) / x0))


class InProcessVoice:
    """A `Voice`."""

    def __init__(self, speaker: Model | Engine, spent: Costs) -> None:
        self.speaker, self.spent = speaker, spent

    async def costs(self) -> Costs:
        """Return what the session has cost."""
        return self.spent
