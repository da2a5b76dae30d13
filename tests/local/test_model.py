"""`local:FOLDER` as a `Model`: text in pieces, stop strings, usage, deadlines, errors, and an agent on top."""

import asyncio
import gc
import subprocess
import sys
import threading
from contextlib import aclosing
from itertools import count
from weakref import ref

import pytest

from llmcompiler import LLMCompiler, NotAPlan, RunFailed
from llmcompiler.config.loading import load_config
from llmcompiler.config.report import settings
from llmcompiler.errors import BadModelRequest, ContextTooLong, ModelError, StreamCut, UsageError
from llmcompiler.execution.requests import Deadlines, ModelRetries, stream_reply
from llmcompiler.models.local.generation import Sampling
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.models.provider import model_of
from llmcompiler.testing.checkpoint import make_checkpoint

QUESTION = Message("user", "How high is K2?")


async def reply_of(model, prompt):
    """Return the text of a reply and its last chunk."""
    chunks = [chunk async for chunk in stream_reply(model, prompt, Deadlines(), ModelRetries())]
    return "".join(chunk.text for chunk in chunks), chunks[-1]


def ask(model, *messages, stop=()):
    return asyncio.run(reply_of(model, Prompt(messages or (QUESTION,), stop=stop)))


@pytest.fixture
def model(folder):
    return LocalModel(folder, options={"max_tokens": 60})


def test_a_reply_is_the_text_of_the_likeliest_tokens(model, checkpoint) -> None:
    text, last = ask(model)
    tokens = checkpoint.prompt([QUESTION])
    generated = checkpoint.model.generate(
        input_ids=_row(tokens),
        attention_mask=_row([1] * len(tokens)),
        do_sample=False,
        max_new_tokens=60,
        pad_token_id=0,
    )[0, len(tokens) :]
    assert text == checkpoint.decode_reply(generated.tolist())
    assert len(text) > 20
    assert last.usage.input_tokens == len(tokens)
    assert last.usage.output_tokens == len(generated)
    assert last.usage.cached_tokens == 0


def _row(tokens):
    import torch

    return torch.tensor([tokens])


def test_a_model_by_name_is_a_model(folder) -> None:
    model = model_of(f"local:{folder}", options={"max_tokens": 5})
    assert isinstance(model, Model)
    text, last = ask(model)
    assert (last.finish, last.usage.output_tokens) == ("length", 5)
    assert text


def test_a_reply_ends_before_a_stop_string_wherever_it_is_cut(model) -> None:
    whole, _ = ask(model)
    for start in range(3, len(whole) - 4, 7):
        stop = whole[start : start + 4]
        text, last = ask(model, stop=(stop, "not in it"))
        assert text == whole[: whole.index(stop)]
        assert last.finish == "stop"
        assert last.usage.output_tokens <= 60


def test_a_stop_string_ends_the_decoding(model) -> None:
    whole, all_of_it = ask(model)
    _, last = ask(model, stop=(whole[5:8],))
    assert last.usage.output_tokens < all_of_it.usage.output_tokens


@pytest.fixture
def ending(model):
    """Let the model end every reply of its own accord, after three tokens."""
    checkpoint = asyncio.run(_loaded(model.host))
    end, steps = checkpoint.tokenizer.eos_token_id, count(1)

    def favour_the_end(_module, _given, logits):
        logits[..., end] += 1e9 if next(steps) % 4 == 0 else -1e9

    handle = checkpoint.model.get_output_embeddings().register_forward_hook(favour_the_end)
    yield model
    handle.remove()


def test_a_reply_ends_with_the_end_token(ending) -> None:
    text, last = ask(ending)
    assert (last.finish, last.usage.output_tokens) == ("stop", 4)
    assert text
    assert "<eos>" not in text


async def _loaded(host):
    async for _ in host.loading():
        pass
    return host.checkpoint


def test_the_loop_goes_on_while_a_step_is_computed(model) -> None:
    """Each step waits until the event loop has ticked, which it could not if the step were computed on it."""
    ticked, threads = threading.Event(), set()

    def wait_for_a_tick(_module, _given):
        threads.add(threading.current_thread())
        ticked.clear()
        assert ticked.wait(20)

    async def beat():
        while True:
            ticked.set()
            await asyncio.sleep(0)

    async def main():
        checkpoint = await _loaded(model.host)
        handle = checkpoint.model.register_forward_pre_hook(wait_for_a_tick)
        heart = asyncio.create_task(beat())
        try:
            return await reply_of(model, Prompt((QUESTION,)))
        finally:
            heart.cancel()
            handle.remove()

    _, last = asyncio.run(main())
    assert last.usage.output_tokens == 60
    assert len(threads) == 1
    assert threading.main_thread() not in threads


def test_who_leaves_a_reply_ends_the_decoding(folder) -> None:
    model, steps = LocalModel(folder, options={"max_tokens": 1000}), []

    async def main():
        checkpoint = await _loaded(model.host)
        handle = checkpoint.model.register_forward_pre_hook(lambda *_: steps.append(None))
        async with aclosing(model.stream(Prompt((QUESTION,)))) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    break
        begun = len(steps)
        await model.host.compute(lambda: None)  # the thread has nothing else to do
        handle.remove()
        return begun

    assert asyncio.run(main()) == len(steps) < 10


def test_a_cancelled_reply_takes_no_further_step(folder) -> None:
    model, begun, go_on, steps = LocalModel(folder), threading.Event(), threading.Event(), []

    def hold(_module, _given):
        steps.append(None)
        begun.set()
        assert go_on.wait(20)

    async def main():
        checkpoint = await _loaded(model.host)
        handle = checkpoint.model.register_forward_pre_hook(hold)
        reply = asyncio.create_task(reply_of(model, Prompt((QUESTION,))))
        while not begun.is_set():
            await asyncio.sleep(0)
        reply.cancel()
        await asyncio.wait({reply}, timeout=20)  # it does not wait for the step that hangs
        assert reply.cancelled()
        go_on.set()
        await model.host.compute(lambda: None)
        handle.remove()

    asyncio.run(main())
    assert len(steps) == 1


def test_replies_take_turns_and_do_not_mix(model) -> None:
    prompts = [Prompt((Message("user", text),)) for text in ("K2", "Mount Everest", "tulips", "8611")]

    async def together():
        return await asyncio.gather(*(reply_of(model, prompt) for prompt in prompts))

    alone = [asyncio.run(reply_of(model, prompt)) for prompt in prompts]
    assert asyncio.run(together()) == alone


def test_planner_and_joiner_of_one_name_share_the_weights(folder) -> None:
    agent = LLMCompiler(f"local:{folder}")
    assert agent.planner_model.host is agent.joiner_model.host


def test_a_released_model_lets_go_of_its_weights_and_is_loaded_again_when_it_is_asked(narrow) -> None:
    model = LocalModel(narrow, options={"max_tokens": 5})
    first, _ = ask(model, Message("user", "K2"))
    host = ref(model.host)
    model.release()
    gc.collect()
    assert host() is None
    assert ask(model, Message("user", "K2"))[0] == first


def height(of: str) -> str:
    """Return the height of a mountain."""
    return "8611 m"


def test_nonsense_of_a_model_ends_in_the_typed_error(ending) -> None:
    agent = LLMCompiler(ending, [height])
    with pytest.raises(RunFailed) as failed:
        agent.run("How high is K2?")
    agent.close()
    assert isinstance(failed.value.__cause__, NotAPlan)
    planner = failed.value.result.usage.by_purpose["planner"]
    assert planner.requests == 2  # the plan and its repair
    assert planner.output_tokens <= 8


def test_nonsense_without_end_is_cut_and_told(folder) -> None:
    agent = LLMCompiler(model_of(f"local:{folder}", options={"max_tokens": 40}), [height])
    with pytest.raises(RunFailed, match="the model's own cap on tokens") as failed:
        agent.run("How high is K2?")
    agent.close()
    assert isinstance(failed.value.__cause__, StreamCut)


def test_a_file_may_name_a_model_in_this_process(folder, tmp_path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(f'model: {{name: "local:{folder}", temperature: 0.5, max_tokens: 7, seed: 3}}\n', encoding="utf-8")
    config = load_config(file)
    assert config.names_server  # so that `llmcompiler demo` asks it
    assert dict(settings(config))["model"].endswith(", temperature 0.5, max_tokens 7, seed 3; in this process")
    agent = LLMCompiler.from_config(config)
    assert agent.planner_model.sampling == Sampling(temperature=0.5, max_tokens=7, seed=3)
    assert agent.planner_model.host is agent.joiner_model.host


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("narrow"), context=64))


def test_a_reply_ends_where_the_context_does(narrow) -> None:
    _, last = ask(LocalModel(narrow), Message("user", "K2"))
    assert last.finish == "length"
    assert last.usage.input_tokens + last.usage.output_tokens == 64


def test_a_prompt_that_does_not_fit_is_told(narrow) -> None:
    with pytest.raises(ContextTooLong, match=r"the prompt has \d+ tokens, and the model reads 64"):
        ask(LocalModel(narrow), Message("user", "K2 " * 100))


def test_a_conversation_that_the_template_refuses_is_told(narrow) -> None:
    model = LocalModel(narrow)
    checkpoint = asyncio.run(_loaded(model.host))
    usual = checkpoint.tokenizer.chat_template
    checkpoint.tokenizer.chat_template = "{{ raise_exception('no system messages') }}"
    try:
        with pytest.raises(BadModelRequest, match="no system messages"):
            ask(model, Message("system", "Be brief."))
    finally:
        checkpoint.tokenizer.chat_template = usual


def test_without_a_template_the_roles_are_written_out(narrow, checkpoint) -> None:
    model = LocalModel(narrow, options={"max_tokens": 3})
    loaded = asyncio.run(_loaded(model.host))
    usual, loaded.tokenizer.chat_template = loaded.tokenizer.chat_template, None
    try:
        tokens = loaded.prompt([Message("system", "Be brief."), QUESTION])
    finally:
        loaded.tokenizer.chat_template = usual
    assert loaded.decode(tokens) == "system: Be brief.\n\nuser: How high is K2?\n\nassistant:"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda folder: LocalModel("./no-such-folder"), "there is no such folder", id="no folder"),
        pytest.param(lambda folder: LocalModel("/"), "no config.json", id="no model in it"),
        pytest.param(
            lambda folder: LocalModel(folder, options={"temprature": 1}), "did you mean temperature", id="option"
        ),
        pytest.param(
            lambda folder: model_of(f"local:{folder}", base_url="http://localhost:1/v1"),
            "has no base_url",
            id="address",
        ),
        pytest.param(lambda folder: model_of("local:"), "names no model", id="no name"),
    ],
)
def test_what_cannot_be_used_is_told_at_once(folder, make, says) -> None:
    with pytest.raises(UsageError, match=says):
        make(folder)


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys\nfrom llmcompiler.models.local.host import host_of\n"
        "sys.path[:] = [path for path in sys.path if 'site-packages' not in path]\nhost_of('x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "local:x needs torch and transformers: pip install 'llmcompiler-engine[local]'" in done.stderr


def test_a_folder_that_cannot_be_loaded_is_told_and_may_be_mended(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=f"local:{tmp_path} cannot be loaded"):
        ask(LocalModel(str(tmp_path)))
    make_checkpoint(tmp_path)
    assert ask(LocalModel(str(tmp_path), options={"max_tokens": 3}))[1].finish == "length"
