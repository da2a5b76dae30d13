"""The six suites of the comparison: questions, tools, scoring, and what an ideal model would write."""
