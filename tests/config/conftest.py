"""Code that configurations may import, and code that they may not: importing that leaves a file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transport.conftest import one_certificate

__all__ = ["one_certificate"]

CODE = Path(__file__).parents[1] / "golden" / "configs" / "code"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder with `good/`, `bad/` and packages to import from; nothing outside `good/` may ever be imported."""
    made = tmp_path_factory.mktemp("configs")
    shutil.copytree(CODE, made, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(made / "packages")
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
            patch.delenv(name, raising=False)
        yield made
    assert [path.name for path in made.rglob("*.imported")] == []
