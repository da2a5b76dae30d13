"""The comparison: the same questions, tools and model for every strategy, side by side in one run.

suite ─▶ cases ─┐
contenders ─────┼─▶ compare ─▶ records (a JSON line a question) ─▶ report, grid
profile ────────┘      │
                oracles behind the loopback server, or a real endpoint
"""
