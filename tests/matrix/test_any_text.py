"""Whatever planner and joiner say, in whatever chunks, a run ends: in an answer or in a typed error, with an outcome for
every task, no write begun before its plan was whole, and nothing but `RunFailed` raised."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler import Cancelled, Limits, LLMCompiler, Succeeded, tool
from llmcompiler.errors import InternalError, LLMCompilerError
from llmcompiler.journal.events import PlanClosed, PlanStarted, TaskStarted
from llmcompiler.testing import Scripted, run_virtual
from llmcompiler.testing.plans import TOOLS, chunkings, plan_texts, plans
from tests.matrix.helpers import FINISH, Ran, ran

LINES = (
    *(
        "1. f(1)",
        "1. f($2)",
        "1. weather($1)",
        "1. search(1, 2)",
        "1. math/add($9)",
        '1. f("$2")',
        "2. joiner(5)",
        "2. f([$1])",
    ),
    *(
        "2. calculate($1)",
        "2. search($1, 3)",
        "2. search(",
        "3. f($1, n=$2)",
        "3. web.search($2)",
        "3. search($4)",
        "3. f(x)",
    ),
    *(
        "4. web-search($3)",
        "4. math/add(1)",
        "4. f($1.a)",
        "4. f(1)",
        "4. math/add(2)",
        "5. f($4)",
        "5. no($1)",
        "join()",
    ),
)
HELD = frozenset(TOOLS[::3])


def any_tool(name: str, number: int) -> Any:
    @tool(name=name, effect="write" if name in HELD else ("read", "undeclared")[number % 2], timeout=2)
    async def work(query: Any = None, n: Any = 1, city: Any = None, true: Any = 0, _x: Any = 0, größe: Any = 0) -> Any:
        await asyncio.sleep(number / 4)
        if n == 2:
            raise LookupError(name)
        if n == 3:
            await asyncio.sleep(100)
        return query

    return work


TOOLBOX = [any_tool(name, number) for number, name in enumerate(TOOLS)]


class Looping:
    """A model whose planner and joiner say their replies over and over."""

    def __init__(self, plans: list[Scripted], joins: list[str]) -> None:
        self.plans, self.joins, self.asked = plans, joins, 0

    async def stream(self, prompt: Any) -> Any:
        self.asked += 1
        if prompt.purpose == "joiner":
            yield self.joins[self.asked % len(self.joins)]
            return
        reply = self.plans[self.asked % len(self.plans)]
        for chunk in reply.chunks or ():
            yield chunk
            await asyncio.sleep(reply.per_chunk)
        if reply.error is not None:
            raise reply.error


SMALL = st.lists(st.sampled_from(LINES), min_size=1, max_size=8).map("\n".join)


@st.composite
def replies(draw: st.DrawFn) -> Scripted:
    text = draw(plan_texts() | SMALL | plans().map(str))
    text += draw(st.sampled_from(["", "\njoin()", "\n9. join()<END_OF_PLAN>"]))
    broken = draw(st.sampled_from([None, None, None, ConnectionError("gone")]))
    return Scripted(chunks=draw(chunkings(text)), per_chunk=draw(st.sampled_from([0.0, 0.3])), error=broken)


JOINS = ["Action: Replan(more)", FINISH, "Action: Finish()", "no action at all", "Action: Replan(again)", ""]


@settings(max_examples=250)
@given(
    plans=st.lists(replies(), min_size=1, max_size=4),
    joins=st.lists(st.sampled_from(JOINS), min_size=1, max_size=4),
    limits=st.builds(
        Limits,
        parallel_tasks=st.sampled_from([1, 32]),
        tasks=st.sampled_from([3, 200]),
        seconds=st.sampled_from([None, 1.0]),
    ),
    stream=st.booleans(),
)
def test_whatever_the_models_say_a_run_ends_with_everything_accounted_for(plans, joins, limits, stream):
    model = Looping(plans, joins)
    agent = LLMCompiler(model, TOOLBOX, examples=[], limits=limits, stream=stream)
    run = run_virtual(ran(agent))
    assert run.failure is None or (
        isinstance(run.failure, LLMCompilerError) and not isinstance(run.failure, InternalError)
    )
    assert (run.result.answer is None) == (run.failure is not None) == (run.result.status == "failed")
    assert run.result.answer in (None, "done")
    assert len(run.outcomes) <= limits.tasks
    assert (
        all(not isinstance(outcome, Cancelled) for outcome in run.outcomes.values())
        or run.failure
        or run.result.stopped_by
    )
    check_writes(run)
    check_inputs(run)


def check_writes(run: Ran) -> None:
    """No write may begin before the text of its plan has ended in a join."""
    is_whole = False
    for event in run.events:
        if isinstance(event, PlanStarted) and event.purpose == "plan":
            is_whole = False
        elif isinstance(event, PlanClosed):
            is_whole = event.complete
        elif isinstance(event, TaskStarted) and event.tool in HELD:
            assert is_whole, f"task {event.id} began before its plan was whole"


def check_inputs(run: Ran) -> None:
    """A task begins only once, after all its inputs have succeeded."""
    for id, record in run.result.tasks.items():
        if record.started is None:
            continue
        assert record.attempts <= 1
        for needed in record.task.inputs:
            source = run.result.tasks[needed]
            assert isinstance(source.outcome, Succeeded), (id, needed)
            assert source.ended is not None
            assert source.ended <= record.started
