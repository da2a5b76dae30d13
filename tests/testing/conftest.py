"""Fixtures of test_server and test_server_timing."""

from collections.abc import Iterator

import openai
import pytest


@pytest.fixture(scope="module")
def sdk() -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="any", base_url="http://127.0.0.1:9/v1", max_retries=0, timeout=5) as client:
        yield client
