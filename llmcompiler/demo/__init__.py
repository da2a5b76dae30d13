"""The demo: bundled questions, recorded replies, and how they are shown."""
