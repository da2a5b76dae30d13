"""Prompts, example tools and configs: top-level folders in a checkout, `_bundled` inside an installed package."""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def bundled(kind: Literal["prompts", "tools", "configs"]) -> Path:
    """Return the folder of that kind. Raises `FileNotFoundError` if the installation is broken."""
    checkout = _PACKAGE.parent
    for folder in (_PACKAGE / "_bundled" / kind, checkout / kind):
        if folder.is_dir() and (folder.parent != checkout or (checkout / "pyproject.toml").is_file()):
            return folder
    raise FileNotFoundError(f"the folder {kind}/ of llmcompiler is missing; reinstall the package")
