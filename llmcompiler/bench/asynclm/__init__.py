"""AsyncLM measured: workloads, the orders in which calls are written, the latency model, and the paper's own points."""
