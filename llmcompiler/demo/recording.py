"""The demo's questions and the recorded replies of a model to them, served over loopback at the speed of a hosted one."""

import atexit
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import yaml

from llmcompiler._resources import bundled
from llmcompiler.strategies.planning import END_OF_PLAN
from llmcompiler.strategies.rounds import END_OF_RESPONSE
from llmcompiler.testing.server import ChatRequest, LoopbackServer, Reply, Status, Timing, error_body

TIMING = Timing(first_token=0.3, per_token=0.01)


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question, what it shows, and the recorded replies by who asks: planner, joiner, react."""

    number: int
    name: str
    shows: str
    question: str
    replies: Mapping[str, list[str]]


def demo_questions() -> list[DemoQuestion]:
    """Return the bundled questions."""
    data = yaml.safe_load((bundled("configs") / "demo.questions.yaml").read_text(encoding="utf-8"))
    roles = ("planner", "joiner", "react")
    return [
        DemoQuestion(number, row["name"], row["shows"], row["question"], {role: row[role] for role in roles})
        for number, row in enumerate(data, 1)
    ]


def recording(*questions: DemoQuestion, timing: Timing = TIMING) -> LoopbackServer:
    """Return a server that replays the recorded replies to these questions, with the timing of a hosted model.

    The first request about a question begins its replies anew, so that it may be asked again, by one run of a strategy
    at a time.
    """
    return LoopbackServer(_Replayer(questions).reply, timing=timing)


def serve_recordings() -> str:
    """Serve the recordings of all questions until this process ends; return the base URL, for `OPENAI_BASE_URL`."""
    serving = ExitStack()
    atexit.register(serving.close)
    return serving.enter_context(recording(*demo_questions())).base_url


class _Replayer:
    def __init__(self, questions: tuple[DemoQuestion, ...]) -> None:
        self._questions = {f"Question: {one.question}": one for one in questions}
        self._left: dict[tuple[str, str], list[str]] = {}

    def reply(self, request: ChatRequest) -> Reply:
        users = [str(message["content"]).strip() for message in request.messages if message["role"] == "user"]
        head = users[0].partition("\n")[0]
        question, role = self._questions.get(head), _role(request)
        if question is None:
            return _refusal("this model is a recording, and this is none of the questions that it knows")
        if users == [head] and role != "joiner":
            begun = ("react",) if role == "react" else ("planner", "joiner")
            self._left |= {(head, who): list(question.replies[who]) for who in begun}
        left = self._left.get((head, role), [])
        if not left:
            return _refusal(f"the recording of {question.name!r} has no further reply for the {role}")
        return Reply(left.pop(0))


def _refusal(why: str) -> Reply:
    return Reply(fault=Status(404, body=error_body(why, kind="invalid_request_error")))


def _role(request: ChatRequest) -> str:
    roles = {END_OF_PLAN: "planner", END_OF_RESPONSE: "joiner"}
    return next((roles[stop] for stop in request.stop if stop in roles), "react")
