"""From what a user calls a model to a `Model`."""

from collections.abc import Mapping
from typing import Any

from llmcompiler.errors import UsageError
from llmcompiler.models.model import Model
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.plan.diagnostics import did_you_mean

PROVIDERS = ("openai",)


def provider_and_name(model: str) -> tuple[str, str]:
    """Return the two parts of `"provider:name"`. Raises `UsageError` if there are none, or nobody knows the provider."""
    provider, colon, name = model.partition(":")
    if not colon or not name:
        such_as = f"openai:{model}" if model and not colon else "openai:gpt-4.1-mini"
        raise UsageError(f'{model!r} names no model; write "provider:name", such as "{such_as}"')
    if provider not in PROVIDERS:
        raise UsageError(f"no provider {provider!r} of models; {did_you_mean(provider, PROVIDERS)}")
    return provider, name


def model_of(
    model: "str | Model | None",
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Model:
    """Return a model for `"provider:name"` or for an object with `stream(prompt)`. Raises `UsageError` for others.

    base_url, api_key and options (further fields of each request) are for a model given by name.
    """
    if model is None:
        raise UsageError('name a model: model="openai:NAME", or planner_model= and joiner_model=')
    if isinstance(model, str):
        _, name = provider_and_name(model)
        return OpenAIModel(name, base_url=base_url, api_key=api_key, options=options)
    if not isinstance(model, Model):
        raise UsageError(f"{model!r} is no model: it has no method stream(prompt)")
    return model
