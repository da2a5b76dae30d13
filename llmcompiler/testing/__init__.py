"""What tests of an agent need without a network or a key: an OpenAI-compatible server, scripted models, plans."""
