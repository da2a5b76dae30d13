"""What holds for every plan text, however it is cut, repaired or not, in a first round or a later one."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcompiler.passes.parse import plan_of
from llmcompiler.passes.reader import Accepted, Pending, PlanReader, Rejected, find_cycle
from llmcompiler.testing.plans import chunkings, plan_texts
from tests.plan.toolbox import TOOLS

arguments = st.sampled_from(["$1", "$2", "$3", '"is $1"', '"$3"', '"$9"', "$9", "1", "x", "x", "$1, $3", "$2, x", ""])
calls = st.builds("{}. {}({})\n".format, st.sampled_from([1, 1, 2, 2, 3, 3, 4, 0]), st.sampled_from("fg"), arguments)
texts = plan_texts() | st.lists(calls | st.just("join()"), max_size=6).map("".join)
tools = st.sampled_from([None, TOOLS])
rounds = st.sampled_from([(), (1, 2), (3, 9)])


def read(reader, chunks, repair=None):
    """Return all readings of a plan, from its first chunk to the rejection of what is still wrong."""
    readings = [reading for chunk in chunks for reading in reader.feed(chunk)] + reader.close()
    readings += reader.repair(repair) if repair is not None else []
    return readings + reader.finish()


def id_of(reading):
    return reading.task.id if isinstance(reading, Accepted) else reading.id


@settings(max_examples=500)
@given(st.data(), texts, tools, rounds)
def test_readings_do_not_depend_on_how_the_text_is_cut(data, text, tools, known):
    whole, cut = PlanReader(tools, known=known), PlanReader(tools, known=known)
    assert read(whole, [text]) == read(cut, data.draw(chunkings(text)))
    facts = [(r.text, r.is_complete, r.is_empty, r.skipped, r.ignored, r.notes) for r in (whole, cut)]
    assert facts[0] == facts[1]
    assert facts[0][0] == text


@settings(max_examples=800)
@given(texts, st.none() | texts, tools, rounds)
def test_each_id_ends_exactly_once_accepted_or_rejected(text, repair, tools, known):
    readings = read(PlanReader(tools, known=known), [text], repair)
    ended = [id_of(reading) for reading in readings if not isinstance(reading, Pending)]
    assert len(ended) == len(set(ended))
    assert set(ended) == {id_of(reading) for reading in readings}
    assert not set(ended) & set(known)
    assert all(id > 0 for id in ended)


@settings(max_examples=500)
@given(texts, st.none() | texts, tools, rounds)
def test_nothing_is_read_of_an_id_after_it_has_ended(text, repair, tools, known):
    ended = set()
    for reading in read(PlanReader(tools, known=known), [text], repair):
        assert id_of(reading) not in ended
        if not isinstance(reading, Pending):
            ended.add(id_of(reading))


@settings(max_examples=800)
@given(texts, st.none() | texts, tools, rounds)
def test_accepted_tasks_use_what_exists_and_form_no_cycle(text, repair, tools, known):
    reader = PlanReader(tools, known=known)
    readings = read(reader, [text], repair)
    ids = {id_of(reading) for reading in readings} | set(known)
    placed = set(known) | {reading.id for reading in readings if isinstance(reading, Rejected)}
    for task in plan_of(readings, reader):
        assert task.inputs <= ids
        assert task.inputs <= placed
        placed.add(task.id)


@settings(max_examples=500)
@given(texts, tools, rounds)
def test_what_is_rejected_says_why(text, tools, known):
    reader = PlanReader(tools, known=known)
    readings = read(reader, [text])
    for reading in readings:
        if isinstance(reading, Rejected):
            assert {diagnostic.severity for diagnostic in reading.diagnostics} == {"error"}


@settings(max_examples=300)
@given(texts, texts)
def test_a_repair_defines_only_what_it_may(text, repair):
    reader = PlanReader(TOOLS)
    before = [*reader.feed(text), *reader.close()]
    allowed = reader.repairable
    assert {id_of(reading) for reading in reader.repair(repair)} <= allowed
    accepted = {id_of(reading) for reading in before if isinstance(reading, Accepted)}
    assert not accepted & allowed


@settings(max_examples=300)
@given(texts, st.integers(0, 3))
def test_a_limit_cuts_the_plan_before_the_first_task_beyond_it(text, limit):
    reader = PlanReader(None, limit=limit)
    assert len({id_of(reading) for reading in read(reader, [text])}) <= limit
    assert not (reader.is_full and reader.is_complete)


def plans_of(lines, ids, arguments):
    """Return every plan of so many lines, as long as they call with these ids and arguments."""
    calls = [f"{id}. f({argument})\n" for id, argument in product(ids, arguments)]
    return ["".join(plan) for plan in product(calls, repeat=lines)]


THREE = plans_of(3, (1, 2, 3), ("x", "$1", "$2", "$3", '"$3"'))
FOUR = plans_of(4, (1, 2), ("x", "$1", "$2", '"$2"'))
TWO_IDS = ((1, 2), ("x", "$1", "$2"))


@pytest.mark.parametrize(
    ("texts", "repairs", "known"),
    [
        pytest.param(THREE, [None], (), id="three lines"),
        pytest.param(THREE, [None], (1,), id="three lines, shifted"),
        pytest.param(THREE, [None], (2,), id="three lines, shifted or not"),
        pytest.param(FOUR, [None], (), id="four lines, two ids"),
        pytest.param(plans_of(2, *TWO_IDS), plans_of(2, *TWO_IDS), (), id="repairs of two lines"),
        pytest.param(plans_of(2, *TWO_IDS), plans_of(2, *TWO_IDS), (1, 2), id="repairs of two lines, shifted"),
        pytest.param(plans_of(3, *TWO_IDS), plans_of(1, (1, 2, 3), ("$1", "$2", "$3")), (), id="repairs of one line"),
    ],
)
def test_in_every_small_plan_each_id_ends_once_and_no_task_waits_for_itself(texts, repairs, known):
    for text, repair in product(texts, repairs):
        readings = read(PlanReader(None, known=known), [text], repair)
        ended = [id_of(reading) for reading in readings if not isinstance(reading, Pending)]
        accepted = {reading.task.id: reading.task.inputs for reading in readings if isinstance(reading, Accepted)}
        assert sorted(ended) == sorted({id_of(reading) for reading in readings}), (text, repair)
        assert not any(find_cycle(accepted, id) for id in accepted), (text, repair)
        assert all(inputs <= {*ended, *known} for inputs in accepted.values()), (text, repair)
