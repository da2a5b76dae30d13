"""The example tools, as the bundled configuration gives them."""

from llmcompiler import load_tools
from llmcompiler._resources import bundled

EXAMPLE_TOOLS = load_tools(bundled("configs") / "demo.yaml")
