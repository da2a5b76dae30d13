"""From what a user calls a model to a `Model`."""

from llmcompiler.errors import UsageError
from llmcompiler.models.model import Model
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.plan.diagnostics import did_you_mean

PROVIDERS = ("openai",)


def model_of(model: "str | Model | None", *, base_url: str | None = None, api_key: str | None = None) -> Model:
    """Return a model for `"provider:name"` or for an object with `stream(prompt)`. Raises `UsageError` for others."""
    if model is None:
        raise UsageError('name a model: model="openai:NAME", or planner_model= and joiner_model=')
    if isinstance(model, str):
        provider, colon, name = model.partition(":")
        if not colon or not name:
            such_as = f"openai:{model}" if model and not colon else "openai:gpt-4.1-mini"
            raise UsageError(f'{model!r} names no model; write "provider:name", such as "{such_as}"')
        if provider not in PROVIDERS:
            raise UsageError(f"no provider {provider!r} of models; {did_you_mean(provider, PROVIDERS)}")
        return OpenAIModel(name, base_url=base_url, api_key=api_key)
    if not isinstance(model, Model):
        raise UsageError(f"{model!r} is no model: it has no method stream(prompt)")
    return model
