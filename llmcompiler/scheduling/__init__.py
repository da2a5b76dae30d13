"""The task-fetching unit: a pure state machine that decides what starts when."""
