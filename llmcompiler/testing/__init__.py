"""For tests of code that uses llmcompiler: scripted models, a virtual clock, and a server that speaks OpenAI's protocol.

The server is `llmcompiler.testing.server.LoopbackServer`.
"""

from llmcompiler.testing.loop import Deadlock, VirtualLoop, run_virtual
from llmcompiler.testing.scripted import Scripted, ScriptedModel

__all__ = ["Deadlock", "Scripted", "ScriptedModel", "VirtualLoop", "run_virtual"]
