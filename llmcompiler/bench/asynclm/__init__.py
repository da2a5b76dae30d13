"""AsyncLM measured: real strategies with an ideal model, against a latency model and beside the paper's own points.

workloads ─▶ script (ideal model, job) ─┬─▶ playing on a ground: virtual, served ─▶ record ─▶ summary, report, curve
contenders, cells, orders ──────────────┘                                            ▲
                                        └─▶ latency: what it must take ──────────────┘
"""
