"""Asking for the answer itself: a reply that is the answer, without any action around it."""

from contextlib import aclosing

from llmcompiler.errors import JoinError
from llmcompiler.joiner import Finish
from llmcompiler.journal.events import AnswerText, JoinDecided
from llmcompiler.models.model import Message, Model, Prompt
from llmcompiler.strategies.rounds import MAX_REPLY_CHARACTERS
from llmcompiler.strategies.run import Reply, Run


async def solve(run: Run, model: Model, system: str, user: str) -> str:
    """Return the solver's answer; one that its model cut off makes the run a partial one.

    Raises `JoinError` for an empty answer, `ModelError` or `LimitReached`.
    """
    reply, size = Reply(), 0
    prompt = Prompt((Message("system", system), Message("user", user)), "solver")
    async with aclosing(run.stream(model, prompt, reply)) as chunks:
        async for text in chunks:
            run.journal.emit(AnswerText, text)
            size += len(text)
            if size > MAX_REPLY_CHARACTERS:
                reply.finish = "length"
                break
    answer = reply.text.strip()
    if not answer:
        raise JoinError("the solver answered nothing", text=reply.text)
    if reply.was_cut:
        run.stopped_by = run.stopped_by or "cut"
    run.journal.emit(JoinDecided, Finish(answer))
    return answer
