"""The peers of the bench: what an ideal model says to them is right, and those that are installed go through it."""

import ast
import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmcompiler import parse_plan
from llmcompiler.bench.peers import PEERS, installed, ours, scripts
from llmcompiler.bench.peers.compare import BLOCKING, compare, missing
from llmcompiler.bench.peers.contest import contender
from llmcompiler.bench.peers.peer import Ask, Peer
from llmcompiler.bench.peers.scripts import FORMS, Script
from llmcompiler.bench.shapes import ANSWER, FOUND, JOINER, SHAPES, Shape
from llmcompiler.errors import InternalError
from llmcompiler.testing import run_virtual
from llmcompiler.testing.server import LoopbackServer, Reply, Timing

SECONDS = 0.5
AT_ONCE = Timing()
each_shape = pytest.mark.parametrize("shape", [pytest.param(shape, id=shape.name) for shape in SHAPES])
each_form = pytest.mark.parametrize("form", [pytest.param(form, id=form) for form in FORMS])
each_peer = pytest.mark.parametrize("peer", [pytest.param(peer, id=peer.name) for peer in PEERS])
each_installed_peer = pytest.mark.parametrize("peer", [pytest.param(peer, id=peer.name) for peer in installed()])


def topics(shape: Shape) -> list[str]:
    """Return the argument of each call once the results that it needs are filled in."""
    return [shape.topic(id, (FOUND,) * len(needed)) for id, needed in enumerate(shape.inputs, 1)]


# What an ideal model says.


@each_shape
def test_a_tool_loop_is_told_each_level_in_one_message_with_the_results_filled_in(shape: Shape) -> None:
    (script,) = scripts.tool_loop(shape)
    *messages, last = script.replies
    assert last == Reply(ANSWER)
    called = [[json.loads(call.arguments)["topic"] for call in message.tool_calls] for message in messages]
    assert called == [[topics(shape)[id - 1] for id in level] for level in shape.levels]
    ids = [call.id for message in messages for call in message.tool_calls]
    assert len(set(ids)) == len(shape.inputs)


@each_shape
def test_we_are_told_a_plan_of_all_calls_and_then_the_answer(shape: Shape) -> None:
    planner, joiner = scripts.plan(shape)[0].replies
    assert tuple(tuple(sorted(task.inputs)) for task in parse_plan(planner.text).tasks) == shape.inputs
    assert joiner == Reply(JOINER)


@each_shape
def test_we_are_told_it_level_by_level_too(shape: Shape) -> None:
    planner, joiner = scripts.plan(shape)[-1].replies  # the only one where that is the shape's own order
    tasks = parse_plan(planner.text).tasks
    order = [id for level in shape.levels for id in level]
    found = [{order[one - 1] for one in task.inputs} for task in tasks]
    assert found == [set(shape.inputs[id - 1]) for id in order]
    assert [task.args[0] for task in tasks if not task.inputs] == [f"topic {id}" for id in shape.levels[0]]
    assert joiner == Reply(JOINER)


@each_shape
def test_code_mode_is_told_each_way_to_write_it_in_one_call(shape: Shape) -> None:
    told = {}
    for script in scripts.code(shape):
        asked, answered = script.replies
        (call,) = asked.tool_calls
        assert (call.name, answered) == ("run_code", Reply(ANSWER))
        told[script.form] = json.loads(call.arguments)["code"]
    written = {form: write(shape) for form, write in FORMS.items()}
    assert told.items() <= written.items()
    assert sorted(told.values()) == sorted(set(written.values()))


@each_form
@each_shape
def test_code_makes_each_call_once_in_as_many_steps_as_it_has_awaits(shape: Shape, form: str) -> None:
    code = FORMS[form](shape)
    looked: list[str] = []

    async def look(*, topic: str) -> str:
        looked.append(topic)
        await asyncio.sleep(SECONDS)
        return FOUND

    async def steps() -> float:
        await eval(compile(code, form, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {"look": look})
        return asyncio.get_running_loop().time() / SECONDS

    assert run_virtual(steps()) == pytest.approx(code.count("await "))
    assert sorted(looked) == sorted(topics(shape))


@each_form
@each_shape
def test_code_ends_in_the_results_that_no_call_has_used(shape: Shape, form: str) -> None:
    last = ast.parse(FORMS[form](shape)).body[-1]
    used = {id for needed in shape.inputs for id in needed}
    unused = [id for id in range(1, len(shape.inputs) + 1) if id not in used]
    assert isinstance(last, ast.Expr)
    names = {node.id for node in ast.walk(last.value) if isinstance(node, ast.Name)} - {"look", "asyncio", "t"}
    inputs = {f"r{one}" for id in unused for one in shape.inputs[id - 1]}
    assert names in ({f"r{id}" for id in unused}, inputs, {"all1"})


def test_gather_takes_a_step_a_level_and_lines_a_step_a_call() -> None:
    shape = next(shape for shape in SHAPES if len(shape.inputs) == 20)
    steps = {form: write(shape).count("await ") for form, write in FORMS.items()}
    levels = len(shape.levels)
    assert steps == {
        "await lines": 20,
        "gather": levels,
        "gather, a call a line": levels,
        "await lines, then gather": levels - 1 + len(shape.levels[0]),
    }


def test_results_that_are_only_used_together_stay_together() -> None:
    code = FORMS["gather"](Shape("reduce", ((), (), (), (1, 2, 3))))
    assert code.splitlines()[1:] == [
        "all1 = await asyncio.gather(look(topic='topic 1'), look(topic='topic 2'), look(topic='topic 3'))",
        """await look(topic=f'topic 4 after {" and ".join(all1)}')""",
    ]


def test_a_call_a_line_is_what_can_start_as_it_is_written() -> None:
    lines = FORMS["gather, a call a line"](Shape("two", ((), ()))).splitlines()
    assert lines[2:] == ["look(topic='topic 1'),", "look(topic='topic 2'),", ")"]


def test_the_tokens_of_a_script_are_those_that_the_server_counts() -> None:
    (script,) = scripts.tool_loop(Shape("two", ((), (1,))))
    with LoopbackServer(script.replies) as server:
        told = [_usage(server.base_url) for _ in script.replies]
    assert script.tokens == sum(told)


def _usage(base_url: str) -> int:
    from openai import OpenAI

    with OpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "go"}])
    assert reply.usage is not None
    return reply.usage.completion_tokens


# Real runs: of ourselves everywhere, of the peers where the extra `bench` is installed.


@each_installed_peer
@each_shape
def test_an_installed_peer_goes_through_a_shape_as_scripted(peer: Peer, shape: Shape) -> None:
    async def taken() -> tuple[str, int, int]:
        async with contender(peer, timing=AT_ONCE, seconds=0.001) as one:
            result = await one.take(shape, runs=1)
        return result.form, result.requests, result.tokens_out

    assert asyncio.run(taken()) in [(script.form, len(script.replies), script.tokens) for script in peer.scripts(shape)]


@each_installed_peer
def test_an_installed_peer_goes_through_sync_tools(peer: Peer) -> None:
    async def taken() -> int:
        async with contender(peer, timing=AT_ONCE, seconds=0.001, blocking=True) as one:
            return (await one.take(BLOCKING, runs=1)).requests

    assert asyncio.run(taken()) == 2


@each_installed_peer
def test_a_cold_script_of_an_installed_peer_asks_one_question(peer: Peer) -> None:
    with LoopbackServer(["1. join()", JOINER] if peer is ours.PEER else [ANSWER]) as server:
        command = [sys.executable, "-c", peer.cold, server.base_url]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        server.assert_consumed()
    assert (ran.returncode, ran.stdout.strip()) == (0, ANSWER), ran.stderr


def test_walls_are_as_many_as_the_runs_and_no_shorter_than_the_model_and_the_tool_take() -> None:
    async def taken() -> tuple[float, ...]:
        async with contender(ours.PEER) as one:
            return (await one.take(Shape("one", ((),)), runs=2)).walls

    walls = asyncio.run(taken())
    assert len(walls) == 2
    assert min(walls) > 0.3 + 0.3 + 0.3


def test_all_are_compared_shape_by_shape_and_then_with_sync_tools() -> None:
    shape, said = Shape("one", ((),)), list[str]()
    results = compare(1, said.append, peers=[ours.PEER, ABSENT], shapes=[shape])
    assert [(result.name, result.shape) for result in results] == [
        ("llmcompiler", "one"),
        ("llmcompiler", "24 sync tools"),
    ]
    assert said == ["one: llmcompiler", "24 sync tools: llmcompiler"]
    assert results[0].worst == results[0].median > results[1].median


# What is not installed, and what goes wrong.


@asynccontextmanager
async def _wrong(look: Callable[[str], Any], base_url: str) -> AsyncIterator[Ask]:
    async def ask(question: str) -> str:
        return await look("topic 1") + question

    yield ask


def _silent(shape: Shape) -> tuple[Script, ...]:
    return (Script("silence", ()),)


ABSENT = Peer("absent", ("no-such-distribution",), _wrong, _silent, "")


def test_a_peer_whose_package_is_missing_says_what_brings_it() -> None:
    assert ABSENT.version is None
    assert installed([ABSENT, ours.PEER]) == [ours.PEER]
    assert missing([ABSENT, ours.PEER]) == {"absent": 'not installed: pip install "llmcompiler-engine[bench]"'}


def test_a_peer_that_does_something_else_is_no_measurement() -> None:
    async def taken() -> None:
        async with contender(ABSENT, seconds=0) as one:
            await one.take(Shape("one", ((),)), runs=1)

    with pytest.raises(InternalError, match=r"absent did not go through 'one' as scripted .* answered 'foundgo'"):
        asyncio.run(taken())


@each_peer
def test_a_cold_script_is_python_that_takes_the_address_of_a_server(peer: Peer) -> None:
    compile(peer.cold, peer.name, "exec")
    assert "sys.argv[1]" in peer.cold
