"""Models in this process, on transformers: the only package that knows torch, which it imports where it is used."""
