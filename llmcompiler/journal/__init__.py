"""Events: what happened in a run, as immutable records; everything that is shown is a fold over them."""
