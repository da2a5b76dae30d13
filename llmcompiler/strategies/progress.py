"""Progress: whether a further plan adds anything to what the rounds before it did.

Calls are told apart by tool and resolved arguments. A plan is judged twice: at its end, before its effects begin, by
what its calls would be if equal calls gave equal values again; and after its round, by calls and kinds of outcomes.
"""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from llmcompiler.execution.driver import Driver
from llmcompiler.plan.outcomes import Succeeded
from llmcompiler.plan.printer import print_call
from llmcompiler.plan.tasks import Task
from llmcompiler.toolkit.registry import Registry


class Progress:
    """What the rounds of one run have done so far."""

    def __init__(self, driver: Driver, registry: Registry) -> None:
        self._driver, self._registry = driver, registry
        self._made: dict[str, int] = {}  # each call that began -> the latest task that made it
        self._ends: set[tuple[str, str]] = set()  # calls and the kinds of their outcomes
        self._rounds = 0

    def is_repeated(self, tasks: Mapping[int, Task], *, has_rejected: bool) -> bool:
        """Return whether the accepted tasks of a further plan would only repeat calls, to no avail or with effects.

        Reads and undeclared calls that failed may be tried again: they may end otherwise this time. Tasks that were
        rejected are no repetition, since their errors are news.
        """
        repeated = self._repeated(tasks) if self._rounds else None
        if repeated is None:
            return False
        has_effects = any(self._registry[self._driver.tasks[id].tool].spec.effect.is_held for id in repeated)
        has_all = all(isinstance(self._driver.outcomes[id], Succeeded) for id in repeated)
        return has_effects or (has_all and not has_rejected)

    def _repeated(self, tasks: Mapping[int, Task]) -> list[int] | None:
        """Return the earlier tasks whose calls these tasks make again, or None if there is a new call among them."""
        driver = self._driver
        values = {id: outcome.value for id, outcome in driver.outcomes.items() if isinstance(outcome, Succeeded)}
        repeated = []
        for id in TopologicalSorter({id: task.inputs & tasks.keys() for id, task in tasks.items()}).static_order():
            call = driver.call_of(tasks[id], values)
            if call is None:
                continue  # an input did not succeed, so it did not begin before either
            earlier = self._made.get(call)
            if earlier is None:
                return None
            repeated.append(earlier)
            outcome = driver.outcomes[earlier]
            if isinstance(outcome, Succeeded):
                values[id] = outcome.value
        return repeated

    def end_round(self, ids: Iterable[int]) -> bool:
        """Note what the tasks of a round came to; return whether anything was new."""
        driver = self._driver
        ends = set()
        for id in ids:
            call = driver.calls.get(id)
            if call is not None:
                self._made[call] = id
            ends.add((call or print_call(driver.tasks[id]), type(driver.outcomes[id]).__name__))
        is_new = not self._rounds or not ends <= self._ends
        self._ends |= ends
        self._rounds += 1
        return is_new
