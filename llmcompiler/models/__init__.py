"""Models: a protocol of one method, and a file per provider."""
