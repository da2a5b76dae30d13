"""Planner output, P08 to P13 of reliability.md: references between tasks, ids, the join."""

import pytest

from llmcompiler.journal.events import PlanClosed, TaskRejected
from llmcompiler.testing import Scripted
from tests.matrix.helpers import FINISH, Toolbox, compiled


def test_P08_a_forward_reference_is_held_and_rejected_at_the_end_of_the_plan():
    tools = Toolbox()
    chunks = ["1. echo([$2])\n", '2. wait(1, "b")\n', "3. echo(3)\n4. join()"]
    plan = Scripted(chunks=chunks, per_chunk=2.0)
    ran = compiled(tools, plan, Scripted(text="1. echo([$2])", first_token=1.0), FINISH)
    assert ran.codes == ["forward_reference"]
    assert "task 1 refers to $2, which is only read after it" in ran.text("repair")
    assert "= write task 1 after task 2" in ran.text("repair")
    assert [event.at for event in ran.kept(TaskRejected)] == [4.0], "decided at the end of the plan, not before"
    assert ran.started == {2: 2.0, 3: 4.0, 1: 5.0}
    assert ran.values == {1: ["b"], 2: "b", 3: 3}, "in a repair the same ref is legal, since both ids are known"


def test_P08_a_forward_reference_that_is_not_repaired_fails_alone():
    ran = compiled(Toolbox(), "1. echo($2)\n2. echo(2)\n3. echo($1)\n4. join()", "Sorry.", FINISH)
    assert (ran.rejected, ran.values) == ([1], {2: 2})
    assert ran.errors[3] == ("skipped", "1")
    assert "task 1 refers to $2" in ran.text("join")


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        pytest.param("1. echo($1)\n2. echo(0)", "self_reference", "task 1 refers to itself", id="P09a self"),
        pytest.param("1. echo($2)\n2. echo($1)", "cycle", "a cycle: $1 needs $2 needs $1", id="P09b two"),
        pytest.param(
            "1. echo($3)\n2. echo($1)\n3. echo($2)", "cycle", "a cycle: $1 needs $3 needs $2 needs $1", id="P09c three"
        ),
    ],
)
def test_P09_a_cycle_is_spelt_out_while_unaffected_tasks_run(lines, code, said):
    ran = compiled(
        Toolbox(), f'{lines}\n7. wait(1, "g")\n8. join()', Scripted(text="1. echo(1)", first_token=5.0), FINISH
    )
    assert ran.codes == [code]
    assert said in ran.text("repair")
    assert ran.started[7] == 0.0
    assert ran.values[1] == 1
    assert ran.values[7] == "g"
    assert ran.result.status == "complete"


@pytest.mark.parametrize("repair", ["1. echo($2)", "I cannot.", ""], ids=["the same cycle", "prose", "nothing"])
def test_P09_a_cycle_that_stays_fails_and_what_needs_it_is_skipped(repair):
    ran = compiled(Toolbox(), "1. echo($2)\n2. echo($1)\n7. echo(7)\n8. join()", repair, FINISH)
    assert (ran.values, ran.rejected) == ({7: 7}, [1])
    assert ran.errors[1][0] == "plan"
    assert ran.errors[2] == ("skipped", "1")


def test_P09_a_correction_that_closes_a_cycle_is_found():
    plan = "2. search(\n1. echo($2)\n2. echo([$1])\n7. echo(7)\n8. join()"
    ran = compiled(Toolbox(), plan, "2. echo(0)", FINISH)
    assert ran.codes == ["cycle"]
    assert "a cycle: $2 needs $1 needs $2" in ran.text("repair")
    assert ran.values == {1: 0, 2: 0, 7: 7}


def test_P10a_the_same_call_under_the_same_id_is_ignored():
    tools = Toolbox()
    ran = compiled(tools, '1. send("Ann")\n1. send("Ann")\n2. join()', FINISH)
    assert (ran.notes, ran.asked) == (["duplicate_ignored"], ["plan", "join"])
    assert len(tools.of("send")) == 1


def test_P10b_a_different_call_under_the_same_id_never_replaces_the_first():
    tools = Toolbox()
    ran = compiled(tools, '1. send("Ann")\n1. send("Ben")\n2. join()', "2. join()", FINISH)
    assert ran.codes == ["duplicate_id"]
    assert tools.of("send") == [{"to": "Ann", "text": ""}]
    assert ran.errors == {
        2: ("plan", "InvalidTask: the id 1 is taken by an earlier call of send (write this task with the unused id 2)")
    }
    assert "the id 1 is taken" in ran.text("join")


def test_P10c_a_duplicate_does_not_restart_the_first_while_it_runs():
    tools = Toolbox()
    chunks = ['1. wait(5, "a")\n', '1. wait(1, "b")\n', "2. join()"]
    ran = compiled(tools, Scripted(chunks=chunks, per_chunk=1.0), '2. wait(1, "b")', FINISH)
    assert ran.values == {1: "a", 2: "b"}
    assert ran.started == {1: 0.0, 2: 2.0}
    assert [call["label"] for call in tools.of("wait")] == ["a", "b"]
    assert ran.result.seconds == 5.0


def test_P10d_numbering_that_begins_again_is_repaired_without_losing_a_task():
    tools = Toolbox()
    plan = '1. search("K2")\n2. echo("$1")\n1. search("Everest")\n2. echo(["$1"])\n3. join()'
    repair = '3. search("Everest")\n4. echo(["${3.value}"])\n5. join()'
    ran = compiled(tools, plan, repair, FINISH)
    assert ran.codes == ["duplicate_id", "duplicate_id"]
    assert ran.values[4] == [8849]
    assert ran.values[2] == {"name": "K2", "value": 8611}
    assert len(tools.of("search")) == 2


def test_P11a_gaps_are_legal():
    ran = compiled(Toolbox(), "1. echo(1)\n5. echo([$1])\n7. echo([$5])\n10. join()", FINISH)
    assert (ran.values, ran.asked) == ({1: 1, 5: [1], 7: [[1]]}, ["plan", "join"])


def test_P11b_a_bare_reference_to_an_absent_id_names_the_nearest():
    ran = compiled(Toolbox(), "1. echo(1)\n3. echo($2)\n9. echo(9)\n10. join()", "3. echo([$1])", FINISH)
    assert ran.codes == ["unknown_reference"]
    assert "$2 is no task of this plan" in ran.text("repair")
    assert "= did you mean $1" in ran.text("repair")
    assert ran.values == {1: 1, 3: [1], 9: 9}


@pytest.mark.parametrize(
    ("head", "said"),
    [
        pytest.param("0. ", "0 is no id; ids go from 1 to 999999", id="P12a zero"),
        pytest.param("-1. ", "-1 is no id", id="P12b negative"),
        pytest.param("1000000. ", "1000000 is no id; ids go from 1 to 999999", id="P12d beyond the limit"),
        pytest.param("9" * 150 + ". ", "is no id; ids go from 1 to 999999", id="P12d far beyond the limit"),
        pytest.param("1.5. ", "1.5 is no id", id="P12e decimal"),
    ],
)
def test_P12_an_impossible_id_is_rejected_and_the_repair_may_number_it(head, said):
    tools = Toolbox()
    ran = compiled(tools, f'1. echo(1)\n{head}search("K2")\n4. echo([$1])\n5. join()', '5. search("K2")', FINISH)
    assert ran.codes == ["bad_id"]
    assert said in ran.text("repair")
    assert "write this task with the unused id 5" in ran.text("repair")
    assert ran.values == {1: 1, 4: [1], 5: {"name": "K2", "value": 8611}}


def test_P12c_leading_zeros_are_normalised():
    ran = compiled(Toolbox(), "001. echo(1)\n02. echo([$1, $01])\n3. join()", FINISH)
    assert (ran.values, ran.asked) == ({1: 1, 2: [1, 1]}, ["plan", "join"])


def test_P13a_a_missing_join_is_an_incomplete_plan():
    tools = Toolbox()
    ran = compiled(tools, '1. echo(1)\n2. put("k", 1)', FINISH)
    assert [event.complete for event in ran.kept(PlanClosed)] == [False]
    assert (ran.values, ran.errors[2][0], tools.of("put")) == ({1: 1}, "dropped", [])
    assert '("the plan ends without a join")' in ran.text("join")
    assert (ran.result.status, ran.result.stopped_by) == ("partial", "cut")


def test_P13a_the_joiner_may_ask_for_the_rest_of_an_incomplete_plan():
    tools = Toolbox()
    script = ["1. echo(1)\n", "Action: Replan(the rest)", '2. put("k", $1)\n3. join()', FINISH]
    ran = compiled(tools, *script)
    assert tools.of("put") == [{"key": "k", "value": 1}]
    assert (ran.result.status, ran.result.stopped_by) == ("complete", None), "nothing kept the run from its end"
    assert "broke off" not in ran.text("join")


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("\n3. echo(3)\n4. echo($2)", id="P13b not last"),
        pytest.param("\n3. echo(3)\n4. join()", id="P13c twice"),
        pytest.param("\nThat is my plan. It calls echo(3).\n", id="P13e prose"),
        pytest.param("<END_OF_PLAN>\n3. echo(3)", id="P13e end marker"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000], ids=["streamed", "whole"])
def test_P13_the_first_join_counts_and_the_rest_is_ignored(rest, size):
    tools = Toolbox()
    text = "1. echo(1)\n2. join()" + rest
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    ran = compiled(tools, Scripted(chunks=chunks), FINISH)
    assert (ran.values, tools.of("echo")) == ({1: 1}, [{"value": 1}])
    assert (ran.result.status, ran.asked) == ("complete", ["plan", "join"])
    (closed,) = ran.kept(PlanClosed)
    assert closed.ignored == (len(rest) if size > 1 else 0), "what came together with the join is counted in its event"


def test_P13_the_joiner_does_not_wait_for_what_follows_the_join():
    chunks = ["1. echo(1)\n2. join()", "\nAnd now", " some prose"]
    ran = compiled(Toolbox(), Scripted(chunks=chunks, per_chunk=100.0), FINISH)
    assert (ran.result.seconds, ran.values) == (0.0, {1: 1})


def test_P13d_arguments_of_join_are_ignored_and_noted():
    ran = compiled(Toolbox(), '1. echo(1)\n2. join($1, reason="x (y)", $9)', FINISH)
    assert (ran.values, ran.notes, ran.asked) == ({1: 1}, ["join_arguments"], ["plan", "join"])


@pytest.mark.parametrize("text", ["join()", "1. join()", "Thought: nothing to do.\njoin()<END_OF_PLAN>"])
def test_P13f_a_join_as_the_only_line_is_legal(text):
    ran = compiled(Toolbox(), text, FINISH)
    assert (dict(ran.result.tasks), ran.asked, ran.result.status) == ({}, ["plan", "join"], "complete")
    assert "(no tool was called)" in ran.text("join")
