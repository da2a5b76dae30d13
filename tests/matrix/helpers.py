"""Tools that note every call, scripted runs on virtual time, and what a run looks like from outside."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenacity import wait_none

from llmcompiler import Failed, LLMCompiler, ModelRetries, RunFailed, RunResult, Skipped, Succeeded, tool
from llmcompiler.journal.events import Event, PlanClosed, TaskRejected
from llmcompiler.models.model import Prompt
from llmcompiler.plan.printer import print_call
from llmcompiler.testing import ScriptedModel, run_virtual
from llmcompiler.testing.scripted import ScriptedReply
from llmcompiler.testing.server import LoopbackServer

QUESTION = "How much taller is Everest than K2?"
FINISH = "Thought: that is enough.\nAction: Finish(done)<END_OF_RESPONSE>"
FACTS = {"Everest": 8849, "K2": 8611, "Elbrus": 5642, "Denali": 6190}


@dataclass
class Toolbox:
    """A few tools of every effect; `calls` says in order what each was called with, `of(name)` those of one tool."""

    seconds: float = 1.0  # that a search takes
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    def of(self, name: str) -> list[dict[str, Any]]:
        return [arguments for tool, arguments in self.calls if tool == name]

    def __iter__(self):
        return iter([self.search(), self.add(), self.echo(), self.wait(), self.send(), self.put()])

    def search(self):
        @tool(effect="read")
        async def search(query: str) -> dict:
            """Return the height of a mountain."""
            self.calls.append(("search", {"query": query}))
            await asyncio.sleep(self.seconds)
            return {"name": query, "value": FACTS[query]}

        return search

    def add(self):
        @tool
        async def add(a: float, b: float) -> float:
            """Return the sum."""
            self.calls.append(("add", {"a": a, "b": b}))
            return a + b

        return add

    def echo(self):
        @tool(effect="read")
        async def echo(value: Any) -> Any:
            """Return the value."""
            self.calls.append(("echo", {"value": value}))
            return value

        return echo

    def wait(self):
        @tool
        async def wait(seconds: float, label: str = "") -> str:
            """Return the label after so many seconds."""
            self.calls.append(("wait", {"seconds": seconds, "label": label}))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            await asyncio.sleep(seconds)
            self.running -= 1
            return label

        return wait

    def send(self):
        @tool(effect="write")
        async def send(to: str, text: str = "") -> dict:
            """Send a message."""
            self.calls.append(("send", {"to": to, "text": text}))
            return {"to": to, "sent": True}

        return send

    def put(self):
        @tool(effect="idempotent")
        async def put(key: str, value: Any) -> str:
            """Store a value."""
            self.calls.append(("put", {"key": key, "value": value}))
            return key

        return put


@dataclass(frozen=True)
class Ran:
    """A run that has ended: `failure` is why there is no answer, None if there is one."""

    result: RunResult
    failure: BaseException | None
    prompts: tuple[Prompt, ...]
    events: tuple[Event, ...]

    @property
    def outcomes(self) -> dict[int, Any]:
        return {id: record.outcome for id, record in self.result.tasks.items()}

    @property
    def values(self) -> dict[int, Any]:
        """What succeeded, by id."""
        return {id: outcome.value for id, outcome in self.outcomes.items() if isinstance(outcome, Succeeded)}

    @property
    def errors(self) -> dict[int, tuple[str, str]]:
        """What failed, by id: kind and text; of what was skipped its cause."""
        told = {id: (o.error.kind, str(o.error)) for id, o in self.outcomes.items() if isinstance(o, Failed)}
        skipped = {id: ("skipped", str(o.cause)) for id, o in self.outcomes.items() if isinstance(o, Skipped)}
        return told | skipped

    @property
    def calls(self) -> dict[int, str]:
        """The planned calls by id, as the planner would write them."""
        return {task.id: print_call(task) for plan in self.result.plans for task in plan}

    @property
    def codes(self) -> list[str]:
        """The errors of all plans, in the order of the text."""
        return [error.code for event in self.kept(PlanClosed) for error in event.errors]

    @property
    def notes(self) -> list[str]:
        return [note.code for event in self.kept(PlanClosed) for note in event.notes]

    @property
    def rejected(self) -> list[int]:
        """The tasks that were refused for good."""
        return [event.id for event in self.kept(TaskRejected) if event.final]

    @property
    def asked(self) -> list[str]:
        """Who was asked, in order: plan, repair, replan or join."""
        return [_kind(prompt) for prompt in self.prompts]

    @property
    def started(self) -> dict[int, float]:
        """When each task first started."""
        return {id: record.started for id, record in self.result.tasks.items() if record.started is not None}

    def text(self, kind: str) -> str:
        """The last message of the last request of a kind."""
        return next(prompt.messages[-1].text for prompt in reversed(self.prompts) if _kind(prompt) == kind)

    def kept(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def _kind(prompt: Prompt) -> str:
    if prompt.purpose == "joiner":
        return "join" if len(prompt.messages) == 2 else "rejoin"
    if len(prompt.messages) > 2:
        return "repair"
    return "replan" if "What was done so far" in prompt.messages[-1].text else "plan"


async def ran(agent: LLMCompiler, prompts: Sequence[Prompt] = ()) -> Ran:
    """Run the question and return what came of it; `RunFailed` is no exception here."""
    try:
        result, failure = await agent.arun(QUESTION), None
    except RunFailed as error:
        result, failure = error.result, error.__cause__
    return Ran(result, failure, tuple(prompts), result.events)


def compiled(tools: Iterable[object], *replies: ScriptedReply, real: bool = False, **options: Any) -> Ran:
    """Run the question with replies in the order of the requests; every one must be asked for, and nothing beyond them.

    Time is virtual, where a hang is an error, unless it is `real`, for tools in threads: they know no virtual time.
    """

    async def work() -> Ran:
        with ScriptedModel(replies) as model:
            async with asyncio.timeout(20 if real else None):
                return await ran(LLMCompiler(model, list(tools), **{"examples": [], **options}), model.prompts)

    return asyncio.run(work()) if real else run_virtual(work())


def served(tools: Iterable[object], server: LoopbackServer, **options: Any) -> Ran:
    """Run the question against a server on loopback, in real time; a hang is an error after 20 seconds."""

    async def work() -> Ran:
        options.setdefault("retries", ModelRetries(wait=wait_none()))
        agent = LLMCompiler("openai:m", list(tools), base_url=server.base_url, api_key="any", examples=[], **options)
        async with asyncio.timeout(20):
            return await ran(agent)

    return asyncio.run(work())
