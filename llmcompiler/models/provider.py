"""From what a user calls a model to a `Model`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from llmcompiler.errors import UsageError
from llmcompiler.models.langchain import LangChainModel, is_chat_model, is_runnable
from llmcompiler.models.local.model import LocalModel
from llmcompiler.models.model import Model
from llmcompiler.models.openai import OpenAIModel
from llmcompiler.plan.diagnostics import did_you_mean

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ModelLike: TypeAlias = "str | Model | BaseChatModel"

PROVIDERS = ("openai", "local")


def provider_and_name(model: str) -> tuple[str, str]:
    """Return the two parts of `"provider:name"`. Raises `UsageError` if there are none, or nobody knows the provider."""
    provider, colon, name = model.partition(":")
    if not colon or not name:
        such_as = f"openai:{model}" if model and not colon else "openai:gpt-4.1-mini"
        raise UsageError(f'{model!r} names no model; write "provider:name", such as "{such_as}"')
    if provider not in PROVIDERS:
        raise UsageError(f"no provider {provider!r} of models; {did_you_mean(provider, PROVIDERS)}")
    return provider, name


def is_local(model: str) -> bool:
    """Return whether a name is that of a model in this process, which has no server and no key."""
    return model.startswith("local:")


def model_of(
    model: "ModelLike | None",
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Model:
    """Return a model for `"provider:name"`, for a LangChain chat model or for an object with `stream(prompt)`.

    The provider is `openai`, any server of chat completions, or `local`, a folder or a name on the hub, run in this process.
    base_url, api_key and options (further fields of each request) are for a model given by name. Raises `UsageError` for
    what is no model.
    """
    if model is None:
        raise UsageError('name a model: model="openai:NAME", or planner_model= and joiner_model=')
    if isinstance(model, str):
        _, name = provider_and_name(model)
        if is_local(model):
            if base_url or api_key:
                raise UsageError(f"{model} runs in this process: it has no base_url and no api_key")
            return LocalModel(name, options=options)
        return OpenAIModel(name, base_url=base_url, api_key=api_key, options=options)
    if is_chat_model(model):
        return LangChainModel(model)
    if is_runnable(model):  # it has a method stream too, of another kind
        raise UsageError(f"{model!r} is no chat model: give the BaseChatModel itself, with its options set on it"[:500])
    if not isinstance(model, Model):
        raise UsageError(f"{model!r} is no model: it has no method stream(prompt)")
    return model
