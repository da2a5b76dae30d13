"""The language every other part speaks: frozen data, no callables, no I/O."""
