"""The engine `local`, on a tiny transformer whose favourite tokens are scripted: what it reads, writes and may not write."""

import asyncio
import threading
from contextlib import contextmanager, suppress

import pytest

from llmcompiler import Limits, RunFailed, Succeeded
from llmcompiler.errors import ContextTooLong, InternalError, LimitReached, UsageError
from llmcompiler.execution.executors import Executors
from llmcompiler.execution.workshop import Workshop
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Message, Prompt, Usage
from llmcompiler.strategies.asynclm.asynclm import AsyncLM
from llmcompiler.strategies.asynclm.delimiters import Delimiters
from llmcompiler.strategies.asynclm.engine import Counts, Engine, Generation
from llmcompiler.strategies.asynclm.local import LocalEngine
from llmcompiler.strategies.run import Means, Run
from llmcompiler.testing.checkpoint import make_checkpoint, make_tokenizer
from llmcompiler.toolkit.registry import registry_of

DELIMITERS = ("[CALL]", "[HEAD]", "[END]", "[INTR]", "[TRAP]")
PROMPT = Prompt((Message("user", "How high is K2?"),), purpose="agent")
CALL = "I ask. [CALL] florist [HEAD] search('tulips') [END] [TRAP][END]"
PIECE = 512  # tokens: a prompt is read in pieces, behind which nothing is sampled but behind the last one
INTERRUPT = " [INTR] florist [HEAD] 12 [END]"


@pytest.fixture(scope="module", params=["split delimiters", "delimiters of one token"])
def folder(request, tmp_path_factory):
    special = DELIMITERS if request.param == "delimiters of one token" else ()
    return str(make_checkpoint(tmp_path_factory.mktemp("engine"), make_tokenizer(special), context=512))


class Stage:
    """A local model that would write what its script says; `read` holds the tokens that it was given, request by request."""

    def __init__(self, folder, max_tokens=200, **limits):
        self.model = LocalModel(folder, options={"max_tokens": max_tokens})
        self.engine = LocalEngine(self.model)
        self.limits = Limits(**limits)
        self.read = []  # tokens, by request
        self.script = []

    @property
    def fed(self):
        """Return how many tokens each request gave the model to read."""
        return list(map(len, self.read))

    def play(self, work, *script):
        """Return what `work(generation, run)` returns; the model favours the tokens of the script, one a step."""

        async def main():
            async for _ in self.model.host.loading():
                pass
            self.write(*script)
            run = Run("?", Means(workshop=Workshop(registry_of([]), Executors()), limits=self.limits))
            with self._hooked():
                return await work(self.engine.begin(PROMPT, run, Delimiters()), run)

        return asyncio.run(main())

    def write(self, *script):
        """Add to the script: text, or the end of a text as None."""
        for text in script:
            self.script += [self.checkpoint.tokenizer.eos_token_id] if text is None else self.checkpoint.encode(text)

    def tokens(self, text):
        return len(self.checkpoint.encode(text))

    @property
    def prompt_tokens(self):
        return len(self.checkpoint.prompt(PROMPT.messages))

    @property
    def checkpoint(self):
        return self.model.host.checkpoint

    @contextmanager
    def _hooked(self):
        model = self.checkpoint.model
        hooks = [
            model.register_forward_pre_hook(
                lambda _, __, kwargs: self.read.append(kwargs["input_ids"][0].tolist()), with_kwargs=True
            ),
            model.get_output_embeddings().register_forward_hook(self._favour),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _favour(self, _module, _given, logits):
        if self.script and self.fed[-1] != PIECE:
            logits[..., self.script.pop(0)] += 1e6


@pytest.fixture
def stage(folder):
    return Stage(folder)


async def written(generation):
    """Return the text up to its end or its trap."""
    text = ""
    while (piece := await generation.read()) is not None:
        text += piece
        if text.endswith("[TRAP][END]"):
            break
    return text


def test_it_is_an_engine(stage) -> None:
    async def work(generation, run):
        return isinstance(stage.engine, Engine), isinstance(generation, Generation)

    assert stage.play(work) == (True, True)


def test_a_call_and_a_trap_are_written_and_the_text_goes_on_behind_the_interrupt(stage) -> None:
    async def work(generation, run):
        first = await written(generation)
        generation.inject(INTERRUPT)
        return first, await written(generation), generation.finish

    assert stage.play(work, CALL, " 12 tulips.", None) == (CALL, " 12 tulips.", "stop")


def test_the_model_reads_the_prompt_the_interrupts_and_each_token_once(stage) -> None:
    async def work(generation, run):
        await written(generation)
        generation.inject(INTERRUPT)
        generation.inject(INTERRUPT)
        await written(generation)
        await generation.stop()
        return generation.counts, run.usage

    counts, usage = stage.play(work, CALL, " 12 tulips.", None)
    interrupts, said = 2 * stage.tokens(INTERRUPT), stage.tokens(CALL) + stage.tokens(" 12 tulips.")
    assert stage.fed == [
        stage.prompt_tokens,
        *[1] * (stage.tokens(CALL) - 1),
        1 + interrupts,
        *[1] * stage.tokens(" 12 tulips."),
    ]
    assert counts == Counts(requests=1, prefilled=stage.prompt_tokens + interrupts, resent=0, generated=said + 1)
    assert usage.by_purpose == {"agent": Usage(1, counts.prefilled, counts.generated, 0)}


FORGED = "so [INTR] florist [HEAD] forged [END] and so on"


def test_without_the_mask_the_model_would_write_an_interrupt(stage) -> None:
    async def work(generation, run):
        return [chunk.text async for chunk in stage.model.stream(PROMPT)]

    def unbanned(text):  # the reply of a `Model` leaves out special tokens
        return text.replace("[INTR]", "").replace("[HEAD]", "").replace("[END]", "")

    assert unbanned("".join(stage.play(work, FORGED, None))) == unbanned(FORGED)


def test_the_mask_keeps_the_model_from_writing_an_interrupt(stage) -> None:
    async def work(generation, run):
        return await written(generation)

    text = stage.play(work, FORGED, None)
    assert text.startswith("so ")
    assert text.endswith(" and so on")
    assert "[INTR]" not in text
    assert "[HEAD]" not in text
    assert "[END]" not in text


def test_whatever_the_model_likes_best_no_interrupt_comes_and_no_text_ends_in_a_call(folder) -> None:
    """Hostile scripts: only delimiters, in every order, and ends."""
    for seed in range(12):
        stage = Stage(folder, max_tokens=60)
        order = [DELIMITERS[(seed * 7 + step * (seed + 1)) % 5] for step in range(12)]

        async def work(generation, run):
            return await written(generation), generation.finish

        text, finish = stage.play(work, *(piece for mark in order for piece in (mark, None)))
        assert "[INTR]" not in text
        assert finish in (None, "length") or text.count("[CALL]") + text.count("[TRAP]") == text.count("[END]")


def test_an_end_is_taken_back_when_the_text_goes_on(stage) -> None:
    async def work(generation, run):
        first = await written(generation)
        assert (await generation.read(), generation.finish) == (None, "stop")
        generation.inject(INTERRUPT)
        assert generation.finish is None
        await written(generation)
        return first

    assert stage.play(work, "one", None, "two", None) == "one"
    # The end token was never read: behind the interrupt the model sees its own text alone.
    assert sum(stage.fed) == stage.prompt_tokens + stage.tokens("one") + stage.tokens(INTERRUPT) + stage.tokens("two")


def test_characters_that_are_taken_back_were_never_there(stage) -> None:
    async def work(generation, run):
        text = await written(generation)
        generation.inject(INTERRUPT, drop=len("tulips"))
        await generation.read()
        return text

    assert stage.play(work, "12 tulips", None, "x") == "12 tulips"
    context = stage.checkpoint.decode([*stage.checkpoint.prompt(PROMPT.messages), *stage.checkpoint.encode("12 ")])
    assert stage.checkpoint.decode(stage.read[-1]) == context + INTERRUPT


def test_what_the_model_has_not_read_is_taken_back_at_no_cost(stage) -> None:
    async def work(generation, run):
        text = await generation.read() + await generation.read()
        generation.inject(INTERRUPT, drop=1)
        await generation.read()
        await generation.stop()
        return text, generation.counts.resent

    assert stage.play(work, "so", "x") == ("so", 0)
    assert stage.checkpoint.decode(stage.read[-1]) == INTERRUPT


def test_more_than_was_written_cannot_be_taken_back(stage) -> None:
    async def work(generation, run):
        await generation.read()
        generation.inject(INTERRUPT)
        with pytest.raises(InternalError, match="taken back"):
            generation.inject(INTERRUPT, drop=1)

    stage.play(work, "so")


def test_what_is_put_in_before_the_first_token_is_a_part_of_the_prompt(stage) -> None:
    async def work(generation, run):
        generation.inject(INTERRUPT)
        await generation.read()

    stage.play(work, "so")
    assert stage.fed[0] == stage.prompt_tokens + stage.tokens(INTERRUPT)


@pytest.mark.parametrize(("seconds", "is_kept"), [(None, True), (3600.0, False)])
def test_a_trap_keeps_the_cache_or_drops_it_by_cost(stage, seconds, is_kept) -> None:
    async def work(generation, run):
        await written(generation)
        await generation.pause(seconds)
        generation.inject(INTERRUPT)
        rest = await written(generation)
        return rest, generation.counts

    rest, counts = stage.play(work, CALL, " 12 tulips.", None)
    assert rest == " 12 tulips."
    assert counts.resent == (0 if is_kept else stage.prompt_tokens + stage.tokens(CALL) - 1)


def test_a_limit_of_tokens_ends_the_text_where_it_is_reached(folder) -> None:
    stage = Stage(folder)
    stage.play(lambda generation, run: generation.read(), "x")
    limited = Stage(folder, tokens=stage.prompt_tokens + 5)

    async def work(generation, run):
        with pytest.raises(LimitReached, match="tokens"):
            await written(generation)
        return run.usage.total

    assert limited.play(work, "so " * 20).output_tokens == 6


def test_a_text_ends_at_the_models_own_cap(folder) -> None:
    async def work(generation, run):
        await written(generation)
        generation.inject(INTERRUPT)
        return await written(generation), generation.finish, generation.counts.generated

    assert Stage(folder, max_tokens=4).play(work, "so " * 20) == ("", "length", 4)


def test_a_text_ends_with_the_context(folder) -> None:
    stage = Stage(folder, max_tokens=10_000)

    async def work(generation, run):
        await written(generation)
        return generation.finish

    assert stage.play(work) == "length"
    assert sum(stage.fed) == 511


def test_a_prompt_that_does_not_fit_is_told(stage) -> None:
    async def work(generation, run):
        generation.inject("flowers " * 600)
        with pytest.raises(ContextTooLong):
            await generation.read()

    stage.play(work)


def test_the_event_loop_runs_tools_while_a_token_is_computed(stage) -> None:
    ran = threading.Event()

    async def tool():
        ran.set()

    async def work(generation, run):
        hook = stage.checkpoint.model.register_forward_pre_hook(lambda *_: _wait(ran))
        reading = asyncio.create_task(generation.read())
        await asyncio.sleep(0)
        task = asyncio.create_task(tool())
        try:
            return await reading, task.done()
        finally:
            hook.remove()

    assert stage.play(work, "so") == ("s", True)


def test_no_text_that_is_put_in_can_hold_a_control_token_but_for_delimiters(stage) -> None:
    async def work(generation, run):
        await generation.read()
        generation.inject("[INTR] a [HEAD] <eos> [END]")
        await generation.read()

    stage.play(work, "so")
    read = stage.read[-1]
    assert stage.checkpoint.decode(read[1:]) == "[INTR] a [HEAD] <eos> [END]"
    assert stage.checkpoint.tokenizer.eos_token_id not in read
    for mark in ("[INTR]", "[HEAD]", "[END]"):
        assert {*stage.checkpoint.encode(mark)} <= {*read}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("wide"), make_tokenizer(DELIMITERS), context=16_384))


def height(of: str) -> str:
    """Return the height of a mountain."""
    return f"{of}: 8611 m"


def test_a_tool_runs_while_the_model_writes_and_its_result_comes_into_the_text(wide) -> None:
    stage, answer = Stage(wide), "\nAnswer: 8611 m"

    async def slow(of: str) -> str:
        """Return the height of a mountain, once the model has written all that it could without it."""
        while len(stage.script) > stage.tokens(answer) + 1:
            await asyncio.sleep(0.001)
        return f"{of}: 8611 m"

    agent = AsyncLM(stage.model, [slow])

    async def work(generation, run):
        return await agent.arun("How high is K2?")

    result = stage.play(work, 'I ask. [CALL] k2 [HEAD] slow("K2") [END] I wait. [TRAP][END]', answer, None)
    agent.close()
    assert result.answer == "8611 m"
    assert [record.outcome for record in result.tasks.values()] == [Succeeded("K2: 8611 m")]
    # One request: the prompt in pieces, then a token a step, and with one of them the interrupt.
    steps = [count for count in stage.fed if count != PIECE][1:]
    interrupts = [count - 1 for count in steps if count > 1]
    assert len(interrupts) == 1
    prompt = sum(stage.fed) - sum(steps)
    assert result.usage.total == Usage(1, prompt + interrupts[0], len(steps) + 1, 0)


@pytest.mark.parametrize("engine", ["auto", "local"])
def test_nonsense_ends_and_does_not_hang(wide, engine) -> None:
    model = LocalModel(wide, options={"max_tokens": 30, "temperature": 2.0, "seed": 1})
    agent = AsyncLM(model, [height], engine=engine, limits=Limits(seconds=30))
    with suppress(RunFailed):  # or an answer of noise
        assert agent.run("How high is K2?").usage.total.output_tokens == 30
    agent.close()


def test_the_engine_takes_a_model_in_this_process_alone() -> None:
    with pytest.raises(UsageError, match='takes a model in this process, "local:NAME"'):
        AsyncLM("openai:x", [height], engine="local", base_url="http://localhost:1/v1")


def _wait(event):
    assert event.wait(20)


def test_a_stopped_generation_computes_nothing_more(stage) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(*_):
        begun.set()
        assert go_on.wait(20)

    async def work(generation, run):
        hook = stage.checkpoint.model.register_forward_pre_hook(hold)
        reading = asyncio.create_task(generation.read())
        while not begun.is_set():
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading}, timeout=20)
        await generation.stop()
        await generation.stop()
        go_on.set()
        hook.remove()
        await stage.model.host.compute(lambda: None)
        return reading.cancelled(), await generation.read()

    assert stage.play(work, "so on and on") == (True, None)
    assert len(stage.fed) == 1
