"""AsyncLM: what is progress, and what ends a run without any."""

import pytest

from llmcompiler import Limits
from llmcompiler.errors import NoProgress
from tests.strategies.asynclm.sessions import TRAP, held

FLORIST = '[CALL] florist [HEAD] find("Rose") [END]\n'
ANSWER = "Answer: 555-4"


def test_a_trap_with_nothing_pending_is_told_and_the_third_one_ends_the_run() -> None:
    session = held([TRAP, ANSWER])
    assert session.result.answer == "555-4"
    assert session.injected == [
        '[INTR] @runtime [HEAD] "nothing is pending: go on, or end with a line that begins with `Answer:`" [END]'
    ]
    session = held([TRAP, TRAP, TRAP])
    assert isinstance(session.failure, NoProgress)
    assert len(session.injected) == 2


@pytest.mark.parametrize("said", ["I wait. ", FLORIST])
def test_neither_text_nor_the_same_call_again_is_progress_between_traps(said: str) -> None:
    session = held([FLORIST + TRAP, *[said + TRAP] * 9], "Answer: best", limits=Limits(tasks=5))
    assert (session.result.answer, session.result.stopped_by, len(session.injected)) == ("best", "no_progress", 3)


def test_a_new_call_is_progress_between_traps() -> None:
    called = [[f"[CALL] c{n} [HEAD] find('x{n}', 0.1) [END]", "\n"] for n in range(4)]
    session = held([part for pieces in called for part in (*pieces, *["hm "] * 3, TRAP)] + [ANSWER])
    assert (session.result.answer, len(session.result.tasks)) == ("555-4", 4)


def test_calls_that_no_id_serves_count_as_tasks() -> None:
    calls = [f"[CALL] {n} [HEAD] find('x') [END]\n" for n in range(20)]
    session = held([FLORIST + TRAP, *calls], "Answer: best", limits=Limits(tasks=5))
    assert (session.result.answer, session.result.stopped_by, len(session.result.tasks)) == ("best", "tasks", 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('[CALL] a [HEAD] fnd("Rose") [END]\n', "there is no tool 'fnd' (did you mean find?)"),
        ("[CALL] 1 [HEAD] find('x') [END]\n", "the id '1' is no name"),
        ("[CALL] echo [HEAD] find('x') [END]\n", "the id 'echo' is that of an earlier call"),
    ],
)
def test_a_call_that_is_refused_again_and_again_ends_the_run_with_the_reason(call: str, said: str) -> None:
    session = held(['[CALL] echo [HEAD] fail("1") [END]' + TRAP, *[call + TRAP] * 9], limits=Limits(tasks=50))
    assert isinstance(session.failure, NoProgress)
    assert f"a call that is refused again and again: {said}" in str(session.failure)
    assert len(session.injected) == 4  # the failure, and three times the reason


def test_refusals_that_were_not_told_yet_or_differ_are_no_repetition() -> None:
    wrong = "".join(f"[CALL] w{n} [HEAD] fnd({n}) [END]\n" for n in range(9))
    session = held([wrong + TRAP, ANSWER])
    assert (session.result.answer, len(session.result.tasks)) == ("555-4", 9)
    others = [f"[CALL] w [HEAD] fnd{n}() [END]\n{TRAP}" for n in range(9)]
    assert held([*others, ANSWER]).result.answer == "555-4"


def test_a_read_that_is_made_again_and_again_ends_the_run_and_a_call_of_unknown_effect_does_not() -> None:
    reads = [f"[CALL] c{n} [HEAD] find('x', 0.1) [END]{TRAP}" for n in range(9)]
    session = held(reads, "Answer: best")
    assert (session.result.answer, session.result.stopped_by, len(session.result.tasks)) == ("best", "no_progress", 4)
    polls = [f"[CALL] c{n} [HEAD] echo('x') [END]{TRAP}" for n in range(9)]
    assert held([*polls, ANSWER]).result.status == "complete"
