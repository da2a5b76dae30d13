"""What a run leaves behind is gone with it: nothing of it waits for the garbage collector."""

import gc
import weakref

from llmcompiler import tool
from llmcompiler.execution.driver import Driver
from tests.execution.running import scripted


def drivers_there_are() -> list[Driver]:
    return [each for each in gc.get_objects() if isinstance(each, Driver)]


def test_a_run_that_is_over_is_freed_at_once() -> None:
    drivers: list[weakref.ref[Driver]] = []
    gc.collect()
    others = weakref.WeakSet(drivers_there_are())  # of tests before this one

    @tool(concurrency=1, rate="100/s", effect="read", cache=60)
    async def look(topic: str) -> str:
        drivers.extend(weakref.ref(driver) for driver in drivers_there_are() if driver not in others)
        return topic

    agent = scripted('1. look("a")\n2. look("b")\n3. look("a")\n4. join()', tools=[look])
    gc.disable()
    try:
        result = agent.run("q")
        assert result.status == "complete"
        assert [driver() for driver in drivers] == [None] * len(drivers)
        assert len(drivers) == 2
    finally:
        gc.enable()
