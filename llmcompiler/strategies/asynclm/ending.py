"""Ending: how a session comes to its answer, whatever wrote its text."""

from llmcompiler.errors import JoinError, ModelError
from llmcompiler.joiner import Finish, observations
from llmcompiler.journal.events import AnswerText, JoinDecided, PlanClosed
from llmcompiler.models.model import Message, Prompt
from llmcompiler.strategies.asynclm.calls import Calls
from llmcompiler.strategies.asynclm.interrupts import Inbox, quoted
from llmcompiler.strategies.run import Run

CUT = "the text broke off at its greatest length"


class Ending:
    """The end of one session."""

    def __init__(self, run: Run, calls: Calls, inbox: Inbox) -> None:
        self._run, self._calls, self._inbox = run, calls, inbox
        self._text = ""

    async def close(self, text: str, plain: int, *, complete: bool) -> None:
        """Close the plan, of which `plain` characters are no calls, and wait for what is under way."""
        self._text, calls = text, self._calls
        if calls.count:
            found = (tuple(calls.errors), tuple(calls.notes))
            self._run.journal.emit(PlanClosed, complete, calls.count, *found, plain, 0, text)
        await calls.close(complete=complete)

    def is_enough(self, broken: ModelError | None, *, is_cut: bool) -> bool:
        """Return whether the text's own answer is to be taken, not a best one. Raises `broken` if neither can be had."""
        if broken is None and not is_cut:
            return True
        if broken is not None and not self._run.has_results:
            raise broken
        self._run.stopped_by = "cut"
        return not self._run.has_results

    def prompt(self, prompt: Prompt, why: str) -> Prompt:
        """Return what is asked for a best answer, after the run was stopped."""
        driver = self._run.driver
        seen = observations((driver.tasks[id], driver.outcomes[id]) for id in sorted(driver.outcomes))
        told = f"The work was stopped: {why}. No further call is possible: write a line that begins with `Answer:`."
        said = "".join(f"\n@{sender}: {quoted(text)}" for sender, text in self._inbox.all)
        user = Message("user", f"{self._run.question}{said}\n\nResults:\n{seen}\n\n{told}")
        return Prompt((prompt.messages[0], user), prompt.purpose)

    def finish(self, answer: str) -> str:
        """Return the answer. Raises `JoinError` if it is empty."""
        if not answer:
            raise JoinError("the model ended its text without an answer", text=self._text)
        self._run.journal.emit(AnswerText, answer)
        self._run.journal.emit(JoinDecided, Finish(answer))
        return answer
