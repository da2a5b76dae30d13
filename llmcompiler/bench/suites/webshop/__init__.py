"""WebShop, rebuilt: a shop that is generated here, with WebShop's actions, observations and reward (arXiv 2207.01206).

It is our rebuild and not WebShop: neither its 1.18 million products nor its instructions are in it, and the set-up with
which the LLMCompiler paper ran it was never released. What is WebShop's is the task (one instruction, one purchase), what
can be done (`shop.py` says what maps to what), what pages show, and the formula of the reward (`reward.py`). Rewards here
are not to be set beside those of the paper; what may be compared is one strategy with another.

    words ─▶ products ─▶ shop (ranking) ─▶ tools ─┐
                  └────▶ goals ─▶ cases           ├─▶ run ─▶ reward
                                    └▶ oracles ───┘

The contender `tree_search` is a ReAct agent whose model looks at 30 items one after another before it buys the best, with
one request for each. LATS makes as many rollouts, each with several requests (to expand, and to evaluate), so this is the
least that a sequential tree search of that size costs. `react_flawed` looks at the first result alone and buys it, which
comes near the success that was published of ReAct (19.8 to 35.2 %); the others look at no more than five, and the
sequential ones stop at the first that fulfils everything. `rewoo`, whose one plan is written before anything was seen, looks
at none.
"""

from llmcompiler.bench.suites.webshop.suite import webshop_suite

__all__ = ["webshop_suite"]
