"""AsyncLM: the model goes on generating while its calls run; results come back into its text as interrupts."""
