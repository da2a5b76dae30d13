"""A model that writes what it is told to: what it reads is counted at its door, and is what the engines say."""

import asyncio
import re

import pytest

from llmcompiler import AsyncLM
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Message, Prompt
from llmcompiler.testing.checkpoint import REPLY
from llmcompiler.testing.forcing import Given, forced

CALLS = " [CALL] k2 [HEAD] height('K2') [END] [CALL] everest [HEAD] height('Mount Everest') [END]"
TRAP = " [TRAP][END]"
ANSWER = "Answer: 8611 and 8849"


async def height(of: str) -> int:
    """Return the height of a mountain in metres."""
    await asyncio.sleep(0.02)  # the model waits for it, however fast it writes
    return {"K2": 8611, "Mount Everest": 8849}[of]


def ideal(read: str) -> str:
    """Return what follows a text: both calls, then waits until both results are there, then the answer."""
    _, is_prompt_read, text = read.partition(REPLY)
    if not is_prompt_read or "[CALL]" not in text:
        return CALLS + TRAP
    return TRAP if text.count("[INTR]") < 2 else f"\n{ANSWER}"


@pytest.fixture
def model(folder):
    return LocalModel(folder, options={"max_tokens": 2000})


async def loaded(model):
    async for _ in model.host.loading():
        pass
    return model.host.checkpoint


def session(model, engine, goes_on=ideal):
    """Return the result of a question, what it has spent, and what the model was given to read."""

    async def main():
        agent = AsyncLM(model, [height], engine=engine)
        with forced(await loaded(model), goes_on) as given:
            async with agent.session("How high are K2 and Mount Everest?") as asked:
                result = await asked.result()
        agent.close()
        return result, asked.spent, given

    return asyncio.run(main())


@pytest.mark.parametrize("engine", ["local", "chat"])
def test_a_run_of_a_random_model_comes_to_the_ideal_answer(model, engine) -> None:
    result, spent, _ = session(model, engine)
    assert result.answer == "8611 and 8849"
    assert [record.outcome.value for record in result.tasks.values()] == [8611, 8849]
    assert min(spent.starting, spent.generating, spent.injecting) > 0.0


def test_the_local_engine_reads_the_prompt_and_each_interrupt_once(model, checkpoint) -> None:
    reads = []

    def noting(read):
        reads.append(read)
        return ideal(read)

    _, spent, given = session(model, "local", noting)
    prompt = next(read for read in reads if read.endswith(REPLY))
    interrupts = re.findall(r"\n(?:\[INTR\] .*\n)+", reads[-1].removeprefix(prompt))
    tokens = sum(len(checkpoint.encode(text)) for text in (prompt, *interrupts))
    assert "".join(interrupts).count("[INTR]") == 2
    assert given == Given(texts=1, tokens=tokens, own=spent.counts.generated - 1)
    assert (spent.counts.requests, spent.counts.prefilled, spent.counts.resent) == (1, tokens, 0)


def test_an_engine_that_asks_again_reads_everything_again(model) -> None:
    _, _, once = session(model, "local")
    _, _, again = session(model, "chat")
    assert again.texts >= 2
    assert again.tokens > 1.9 * once.tokens


def test_what_is_said_to_a_strategy_of_streamed_text_is_forced_too(model) -> None:
    async def main():
        with forced(await loaded(model), lambda read: "as told") as given:
            chunks = [chunk async for chunk in model.stream(Prompt((Message("user", "?"),)))]
        return "".join(chunk.text for chunk in chunks), chunks[-1], given

    text, last, given = asyncio.run(main())
    assert (text, last.finish) == ("as told", "stop")
    assert given == Given(
        texts=1, tokens=last.usage.input_tokens, own=last.usage.output_tokens - 1
    )  # the end is not read
