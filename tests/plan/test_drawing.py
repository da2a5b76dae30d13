"""Plans as a graph and as a picture."""

from llmcompiler.plan.plan import Plan
from llmcompiler.plan.tasks import Task
from llmcompiler.plan.values import Ref, Text

PLAN = Plan(
    (
        Task(1, "search", ('the "best" <b> & $5',)),
        Task(2, "search", (), {"query": "b"}),
        Task(5, "add", (Ref(1), Text(("x", Ref(2))), Ref(1))),
        Task(7, "later", (Ref(99),)),
    )
)


def test_edges_run_from_input_to_user():
    graph = PLAN.graph()
    assert list(graph.nodes) == [1, 2, 5, 7]
    assert sorted(graph.edges) == [(1, 5), (2, 5)]
    assert [graph.nodes[id]["task"] for id in graph.nodes] == list(PLAN)


def test_mermaid_shows_tasks_inputs_and_what_the_join_waits_for():
    assert (
        PLAN.mermaid()
        == """\
flowchart TD
    t1["1. search(&quot;the \\&quot;best\\&quot; &lt;b&gt; &amp; $$5&quot;)"]
    t2["2. search(query=&quot;b&quot;)"]
    t5["5. add($1, &quot;x${2}&quot;, $1)"]
    t7["7. later($99)"]
    join([join])
    t1 --> t5
    t2 --> t5
    t5 --> join
    t7 --> join"""
    )


def test_a_long_call_is_cut_in_the_picture():
    label = Plan((Task(1, "search", ("a" * 200,)),)).mermaid().splitlines()[1]
    assert label == '    t1["1. search(&quot;' + "a" * 68 + '…"]'


def test_an_empty_plan_is_only_a_join():
    assert Plan().mermaid() == "flowchart TD\n    join([join])"
    assert len(Plan().graph()) == 0
