"""Whole ways of answering a question, all with the same face, events, usage and limits."""
