"""`python -m llmcompiler`, the same as the command `llmcompiler`."""

from llmcompiler.cli import main

if __name__ == "__main__":
    main()
