"""AsyncLM measured: real strategies with an ideal model, against a latency model and beside the paper's own points.

workloads ─▶ script (ideal model, work) ┬─▶ playing on a ground ─────────▶ record ─▶ summary ─▶ report, curve
contenders, cells, orders ──────────────┤   (virtual, served, in_process)   ▲
                                        └─▶ latency: what it must take ─────┘

`measure` holds it together: which workloads, modes and cells are played on which ground.
"""
