"""WebShop, rebuilt: the shop is the same each time, the reward is counted by hand, ideal models buy what they should."""

import asyncio
import functools
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from llmcompiler import ReAct, RunResult, UsageError, execute, parse_plan
from llmcompiler.bench.comparing.contenders import CONTENDERS as CATALOGUE
from llmcompiler.bench.serving import child_environment
from llmcompiler.bench.suites.suite import Case
from llmcompiler.bench.suites.webshop import webshop_suite
from llmcompiler.bench.suites.webshop.goals import Wish, make_goals
from llmcompiler.bench.suites.webshop.oracles import LOOKS, ROLLOUTS
from llmcompiler.bench.suites.webshop.products import generate
from llmcompiler.bench.suites.webshop.ranking import Ranking
from llmcompiler.bench.suites.webshop.reward import reward
from llmcompiler.bench.suites.webshop.shop import the_shop
from llmcompiler.bench.suites.webshop.shopper import keywords
from llmcompiler.joiner import MAX_SHOWN
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.plan.outcomes import Failed
from llmcompiler.testing import ScriptedModel
from llmcompiler.testing.server import LoopbackServer
from llmcompiler.testing.server.requests import CHAT, read_request
from llmcompiler.toolkit.tool import Tool

SUITE = webshop_suite()
TOOLS = SUITE.tools(SUITE.cases(None, 1)[0], ScriptedModel([]))  # search, view, buy
CONTENDERS = SUITE.contenders
DIGEST = """
import hashlib
from llmcompiler.bench.suites.webshop import webshop_suite
from llmcompiler.bench.suites.webshop.products import generate
shop = [(product.text, product.id, list(product.options.items()), product.price) for product in generate()]
print(hashlib.sha256(repr((shop, webshop_suite().cases(None, 1000))).encode()).hexdigest())
"""

# --- the shop


def test_the_shop_has_a_thousand_products_and_a_goal_for_each_that_its_own_product_fulfils() -> None:
    products = {product.id: product for product in generate()}
    goals = make_goals(generate())
    assert len(products) == len(goals) == 1_000
    assert {goal.item for goal in goals} == set(products)
    for goal in goals:
        wanted = products[goal.item]
        assert reward(wanted, goal.wish.options, wanted, goal.wish) == 1.0


def test_the_shop_and_the_cases_are_the_same_in_each_process() -> None:
    seen = set()
    for seed in ("0", "1"):
        environment = {**child_environment(), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        seen.add(done.stdout)
    assert len(seen) == 1
    assert generate(1) != generate(2)


def test_an_instruction_says_the_whole_wish() -> None:
    wish = Wish(
        type="floor lamp",
        attributes=("easy to clean", "energy saving"),
        options={"color": "navy", "size": "large"},
        price=40.0,
    )
    assert wish.say("i need") == (
        "i need a floor lamp that is easy to clean and energy saving, with color: navy, and size: large, "
        "and price lower than 40.00 dollars"
    )
    goals = make_goals(generate())
    assert [Wish.read(f"Question: {goal.text}\nand more") for goal in goals] == [goal.wish for goal in goals]
    assert all(0 < goal.wish.price - the_shop()[goal.item].price <= 40 for goal in goals)


def test_a_text_without_an_instruction_is_told() -> None:
    with pytest.raises(LookupError, match="no instruction of the shop stands in 'Question: Who directed Alien"):
        Wish.read("Question: Who directed Alien?")


# --- the ranking


def test_the_text_with_more_and_rarer_words_comes_first_and_equals_stay_in_order() -> None:
    ranking = Ranking(["red lamp", "red chair", "red chair", "green velvet chair", "table"])
    assert ranking.best("red velvet chair", 10) == [3, 1, 2, 0]
    assert ranking.best("red velvet chair", 2) == [3, 1]
    assert ranking.best("sofa", 10) == []


def test_a_score_is_that_of_bm25() -> None:
    # Two texts of 2 and 4 words, mean 3. idf(lamp) = log(1 + 1.5 / 1.5) = log 2 in the first, and so for desk.
    # lamp, once in 2 words: 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3)); desk, twice in 4: 4.4 / (2 + 1.2 * (0.25 + 1)).
    ranking = Ranking(["red lamp", "red desk oak desk"])
    assert ranking.best("lamp desk", 2) == [1, 0]
    scores = {0: 0.693147 * 2.2 / 1.9, 1: 0.693147 * 4.4 / 3.5}
    assert ranking.scores("lamp desk lamp") == pytest.approx(scores, rel=1e-5)


@pytest.mark.parametrize("query", ["LAMP", "lamps", "lamp's", "lamp, lamp; lamp!"])
def test_words_are_compared_without_case_plural_and_punctuation(query: str) -> None:
    assert Ranking(["a desk", "two Lamps"]).best(query, 10) == [1]


def test_a_search_gives_ten_results_a_page_of_at_most_fifty() -> None:
    shop = the_shop()
    pages = [shop.search("floor lamp for library", page) for page in range(1, 6)]
    ids = [result.item for page in pages for result in page.results]
    assert [len(page.results) for page in pages] == [10] * 5
    assert len(set(ids)) == 50
    assert {page.total for page in pages} == {50}
    assert all("Floor Lamp" in result.title for result in pages[0].results)
    assert shop.search("xylophone").results == []


def test_every_page_can_be_shown_to_a_model_whole() -> None:
    shop = the_shop()
    for goal in make_goals(generate()):
        for page in (shop.view(goal.item), shop.search(goal.text)):
            assert len(json.dumps(asdict(page))) < MAX_SHOWN


# --- the tools


def test_a_purchase_needs_no_more_than_the_item_and_is_written_as_the_shop_writes_it() -> None:
    goal = make_goals(generate())[0]
    loudly = {name.upper(): value.upper() for name, value in goal.wish.options.items()}
    assert the_shop().buy(f" {goal.item.lower()} ", loudly).options == goal.wish.options
    assert the_shop().buy(goal.item, {}).options == {}


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        ('search("")', "ValueError", 'the keywords are empty; say what to look for, such as "navy rain boot"'),
        ('search(" ")', "ValueError", "the keywords are empty"),
        (
            'search("floor lamp for library", 6)',
            "ValueError",
            "there is no page 6; for these keywords there are pages 1 to 5",
        ),
        ('search("lamp", 0)', "ValueError", "there is no page 0"),
        ('search("xylophone", 2)', "ValueError", "there are pages 1 to 1"),
        ('view("ITEM0")', "LookupError", "there is no item 'ITEM0'; did you mean ITEM"),
        ('view("lamp")', "LookupError", "there is no item 'lamp'; take one that a search returned"),
        ('buy("", {})', "LookupError", "there is no item ''; take one that a search returned"),
        (
            'buy("ITEM", {"flavour": "mint"})',
            "ValueError",
            "item ITEM has no option 'flavour'; its options are: flavor, size",
        ),
        ('buy("ITEM", {"flavor": "soap"})', "ValueError", "is not to be had in flavor 'soap', only in: mocha, ginger"),
    ],
)
def test_what_cannot_be_says_what_can(call: str, kind: str, said: str) -> None:
    item = make_goals(generate())[0].item  # a protein shake
    plan = parse_plan(f"1. {call}\n2. join()".replace("ITEM", item), tools=TOOLS)
    outcome = asyncio.run(execute(plan, tools=TOOLS))[1]
    assert isinstance(outcome, Failed)
    assert outcome.error.type == kind
    assert said.replace("ITEM", item) in outcome.error.message


# --- the suite


def test_there_are_a_hundred_cases_unless_said() -> None:
    cases = SUITE.cases(None, None)
    assert len(cases) == 100
    assert cases[:30] == SUITE.cases(None, 30)
    assert len({case.id for case in cases}) == 100
    assert json.loads(cases[0].label)["item"] == make_goals(generate())[0].item


@pytest.mark.parametrize("count", [0, -1, 1_001])
def test_a_number_of_cases_that_cannot_be_is_told(count: int) -> None:
    with pytest.raises(UsageError, match=f"webshop has 1 to 1,000 cases, not {count}"):
        SUITE.cases(None, count)


def test_an_oracle_that_there_is_not_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="webshop has no oracle for 'reakt'; did you mean react"):
        SUITE.oracle("reakt", [])


def test_the_last_purchase_counts_and_without_one_the_score_is_zero() -> None:
    case, other = SUITE.cases(None, 2)
    right, wrong = (json.loads(each.label) for each in (case, other))

    def bought(*items: tuple[str, Mapping[str, str]]) -> float:
        calls = [f"Action: buy({json.dumps(item)}, {json.dumps(options)})" for item, options in items]
        model = ScriptedModel([*calls, "Action: Finish(done)"])
        return SUITE.score(case, ReAct(model, TOOLS).run(case.question))

    assert bought() == 0.0
    assert bought((right["item"], right["options"])) == 1.0
    assert bought((right["item"], {})) == pytest.approx(3 / 5)
    assert bought((wrong["item"], {}), (right["item"], right["options"])) == 1.0
    assert bought((right["item"], right["options"]), (wrong["item"], {})) < 0.5
    assert bought((right["item"], right["options"]), (right["item"], {"size": "none"})) == 1.0  # refused, so none


# --- the ideal models


def _results(contender: str, cases: Sequence[Case], tools: Sequence[Tool[..., Any]] = TOOLS) -> list[RunResult]:
    oracle = pickle.loads(pickle.dumps(SUITE.oracle(contender, cases)))

    async def one_after_another(base_url: str) -> list[RunResult]:
        model = OpenAIModel("oracle", base_url=base_url, api_key="none")
        agent = CATALOGUE[contender].agent(model, tools, SUITE)
        return [await agent.arun(case.question) for case in cases]

    with LoopbackServer(oracle.reply) as server:
        return asyncio.run(one_after_another(server.base_url))


def _calls(result: RunResult) -> list[str]:
    return [record.task.tool for record in result.tasks.values() if record.started is not None]


@pytest.mark.parametrize(
    ("contender", "count", "success", "mean"),
    [
        ("compiler", 30, 29, 0.9933),
        ("compiler_batch", 30, 29, 0.9933),
        ("react", 30, 29, 0.9933),
        ("react_careful", 30, 29, 0.9933),
        ("react_flawed", 30, 10, 0.8067),
        ("parallel_calls", 30, 29, 0.9933),
        ("parallel_calls_late", 30, 29, 0.9933),
        ("tree_search", 6, 6, 1.0),
    ],
)
def test_an_ideal_model_buys_the_best_of_what_it_looks_at(
    contender: str, count: int, success: int, mean: float
) -> None:
    cases = SUITE.cases(None, count)
    results = _results(contender, cases)
    scores = [SUITE.score(case, result) for case, result in zip(cases, results, strict=True)]
    assert {result.status for result in results} == {"complete"}
    assert sum(score == 1.0 for score in scores) == success
    assert sum(scores) / count == pytest.approx(mean, abs=1e-4)
    for result in results:
        assert _calls(result).count("buy") == 1
        assert str(result.answer).startswith("Bought ")


def test_the_compiler_looks_at_all_items_in_one_plan_and_buys_in_the_next() -> None:
    (result,) = _results("compiler", SUITE.cases(None, 1))
    first, second = result.plans
    assert [task.tool for task in first] == ["search"] + ["view"] * LOOKS
    assert [task.tool for task in second] == ["buy"]
    assert all(task.inputs == {1} for task in list(first)[1:])
    assert result.usage.total.requests == 4


def test_the_sequential_ones_look_at_one_item_at_a_time() -> None:
    cases = SUITE.cases(None, 3)
    for contender, most in (("react", LOOKS), ("react_flawed", 1)):
        for result in _results(contender, cases):
            views = _calls(result).count("view")
            assert 1 <= views <= most
            assert _calls(result) == ["search", *["view"] * views, "buy"]
            assert result.usage.total.requests == views + 3


@pytest.mark.parametrize("contender", ["parallel_calls", "parallel_calls_late"])
def test_native_calls_look_at_all_items_in_one_message_and_buy_in_the_next(contender: str) -> None:
    for result in _results(contender, SUITE.cases(None, 3)):
        calls = [(record.round, record.task.tool) for record in result.tasks.values()]
        assert calls == [(1, "search"), *[(2, "view")] * LOOKS, (3, "buy")]
        assert result.usage.total.requests == 4


def test_a_plan_that_nobody_looks_from_buys_the_first_result_if_it_is_to_be_had_as_wanted() -> None:
    cases = SUITE.cases(None, 30)
    results = _results("rewoo", cases)
    scores = [SUITE.score(case, result) for case, result in zip(cases, results, strict=True)]
    assert {(result.status, result.usage.total.requests, len(result.plans)) for result in results} == {
        ("complete", 2, 1)
    }
    assert {tuple(_calls(result)) for result in results} == {("search", "buy")}
    assert (scores.count(1.0), scores.count(0.0)) == (10, 19)
    for score, result in zip(scores, results, strict=True):
        assert str(result.answer).startswith("Bought " if score else "Nothing was bought: failed: ")
        assert ("is not to be had in" in str(result.answer)) == (score == 0)


def test_of_all_goals_the_first_result_is_what_is_wanted_for_415_and_not_to_be_had_as_wanted_for_550() -> None:
    shop = the_shop()
    wanted, taken = [], []
    for goal in make_goals(generate()):
        page = shop.view(shop.search(keywords(goal.wish)).results[0].item)
        is_had = all(value in page.options[name] for name, value in goal.wish.options.items())
        first = {name: page.options[name][0] for name in goal.wish.options}
        item, own = shop[page.item], shop[goal.item]
        wanted.append(reward(item, goal.wish.options, own, goal.wish) if is_had else 0.0)
        taken.append(reward(item, first, own, goal.wish))
    assert (wanted.count(1.0), wanted.count(0.0), round(sum(wanted) / 1000, 2)) == (415, 550, 0.44)
    assert (taken.count(1.0), taken.count(0.0), round(sum(taken) / 1000, 2)) == (89, 0, 0.69)


def test_the_tree_search_looks_at_thirty_items_on_three_pages() -> None:
    (result,) = _results("tree_search", SUITE.cases(None, 1))
    ten = ["search", *["view"] * 10]
    assert _calls(result) == [*ten, *ten, *ten, "buy"]
    assert ROLLOUTS == 30
    assert result.usage.total.requests == ROLLOUTS + 3 + 2


@pytest.mark.parametrize("contender", CONTENDERS)
def test_a_request_that_no_case_made_is_refused(contender: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Question: How high is K2?"}]}
    with pytest.raises(LookupError, match="no instruction"):
        SUITE.oracle(contender, []).reply(read_request(CHAT, json.dumps(body).encode()))


@pytest.mark.parametrize("contender", CONTENDERS)
def test_an_ideal_model_says_so_when_the_search_is_down(contender: str) -> None:
    (result,) = _results(contender, SUITE.cases(None, 1), [broken("search"), *TOOLS[1:]])
    assert str(result.answer).startswith("Nothing was bought: failed: ")
    assert "buy" not in _calls(result)


@pytest.mark.parametrize("contender", CONTENDERS)
def test_an_ideal_model_does_not_try_to_buy_twice(contender: str) -> None:
    (result,) = _results(contender, SUITE.cases(None, 1), [*TOOLS[:2], broken("buy")])
    assert str(result.answer).startswith("Nothing was bought: failed: ")
    assert _calls(result).count("buy") == 1


@pytest.mark.parametrize("contender", ["compiler", "parallel_calls", "tree_search"])
def test_an_ideal_model_makes_the_best_of_what_it_could_see(contender: str) -> None:
    case = SUITE.cases(None, 1)[0]
    hidden = the_shop().search(keywords(Wish.read(case.question))).results[2].item
    (result,) = _results(contender, [case], [TOOLS[0], broken("view", hidden), TOOLS[2]])
    assert str(result.answer).startswith("Bought ")
    assert SUITE.score(case, result) > 0


def broken(name: str, item: str = "") -> Tool[..., Any]:
    """Return one of the shop's tools out of order, for one item or for whatever it is asked."""
    whole = next(tool for tool in TOOLS if tool.spec.name == name)

    @functools.wraps(whole.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if item in (*args, *kwargs.values(), ""):
            raise ConnectionError("the shop is closed")
        return whole.function(*args, **kwargs)

    return Tool(call, whole.spec)
