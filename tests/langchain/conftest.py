"""Nothing is traced to anywhere, whatever the environment says; clients read one certificate, as in tests/transport."""

import pytest

from tests.transport.conftest import one_certificate

__all__ = ["one_certificate"]


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
