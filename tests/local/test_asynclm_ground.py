"""`llmcompiler bench asynclm --ground local`: ideal texts on the local engine, whose passes and counts are real."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmcompiler.bench.asynclm.contenders import CONTENDERS
from llmcompiler.bench.asynclm.measure import Request, measurement_of
from llmcompiler.bench.asynclm.script import Cell, predicted
from llmcompiler.bench.asynclm.workloads import read_workloads

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def records():
    """Return the records of one workload, by mode."""
    request = Request(sets=["parallel_multiple"], grounds=["local"], count=1, folder=DATA)
    records = measurement_of(request).run(lambda ground, count: lambda record: None)
    return {record.contender: record for record in records}


def test_every_mode_makes_the_right_calls(records) -> None:
    assert set(records) == {"sync", "sync_parallel", "async_naive", "async", "futures", "compiler"}
    assert [(record.error, record.score) for record in records.values()] == [(None, 1.0)] * 6


@pytest.mark.parametrize("mode", ["sync", "sync_parallel", "futures", "compiler"])
def test_a_mode_writes_as_many_tokens_as_the_latency_model_says(mode, records) -> None:
    """Those that are interrupted do it in so many traps as time makes it. Native calls end with a mark of one token."""
    [workload] = read_workloads("parallel_multiple", DATA, 1)
    told = predicted(workload, CONTENDERS[mode], Cell(1, 10))
    written = records[mode].tokens_out - (mode == "futures")
    assert (records[mode].requests, written) == (told.requests, told.generated)


def test_each_wire_reads_its_own_prompts(records) -> None:
    """Planner and joiner read less than two prompts of native calls, whose tools are JSON schemas."""
    compiler, futures, parallel = records["compiler"], records["futures"], records["sync_parallel"]
    assert compiler.requests == futures.requests == parallel.requests == 2
    assert compiler.tokens_in < parallel.tokens_in < futures.tokens_in


def test_async_reads_its_prompt_once_and_the_others_with_every_request(records) -> None:
    live, naive, parallel = records["async"], records["async_naive"], records["sync_parallel"]
    assert live.requests == 1
    assert naive.requests > parallel.requests > 1
    prompt = parallel.tokens_in // parallel.requests  # and half of what it had written and been told
    assert live.tokens_in < prompt + 100
    assert naive.tokens_in > naive.requests * (live.tokens_in - 100)


def test_the_time_of_a_session_is_told_apart_and_a_prediction_stands_beside_it(records) -> None:
    for record in records.values():
        assert min(record.starting, record.generating, record.injecting, record.predicted) > 0.0
        assert record.starting + record.generating + record.injecting <= record.seconds


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys\nfrom llmcompiler.bench.asynclm.in_process import in_process\n"
        "sys.path[:] = [path for path in sys.path if 'site-packages' not in path]\n"
        "with in_process([], []): pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "the ground local needs torch and transformers: pip install 'llmcompiler-engine[local]'" in done.stderr
