"""The demo: bundled questions, recorded replies, and how they are shown."""

from llmcompiler.demo.agents import slowed
from llmcompiler.demo.recording import demo_questions, serve_recordings

__all__ = ["demo_questions", "serve_recordings", "slowed"]
