"""A module whose attributes cannot be had."""


def __getattr__(name: str) -> object:
    raise RuntimeError(f"{name} is not ready")
