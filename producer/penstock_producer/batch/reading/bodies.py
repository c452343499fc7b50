"""The body of an OpenAI request becomes a prompt and arguments of Request.build.

What is not supported is refused by name, never dropped in silence; a parameter that is null or
says what happens anyway (``n`` 1, ``stream`` false) is as good as absent.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from penstock_producer.batch.reading.line import invalid
from penstock_producer.batch.reading.models import Models
from penstock_producer.batch.reading.options import CHAT, COMPLETIONS, EMBEDDINGS
from penstock_producer.batch.reading.turns import turns_of
from penstock_shared.request import Sampling

_SAMPLING: Final = frozenset(Sampling.model_fields)
_COMMON: Final = frozenset({"model", "user", "metadata", "penstock"})
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    CHAT: _COMMON | _SAMPLING | {"messages", "max_completion_tokens", "response_format"},
    COMPLETIONS: _COMMON | _SAMPLING | {"prompt", "response_format"},
    EMBEDDINGS: _COMMON | {"input"},
}
_OURS: Final = ("workflow", "task_type", "cache")

# Values that say what happens anyway.
_HARMLESS: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    "best_of": (1,),
    "stream": (False,),
    "store": (False,),
    "echo": (False,),
    "suffix": ("",),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "modalities": (["text"],),
    "service_tier": ("auto", "default", "flex"),
    "encoding_format": ("float",),
}
_ADVICE: Final[Mapping[str, str]] = {
    "n": "write the line n times, each with its own custom_id",
    "best_of": "leave it out",
    "stream": "a batch answers in a file; leave it out",
    "tools": "tools are not supported; describe them in the prompt",
    "functions": "functions are not supported; describe them in the prompt",
    "logprobs": "log probabilities are not returned; leave it out",
    "top_logprobs": "log probabilities are not returned; leave it out",
    "encoding_format": "vectors are written as numbers; leave it out",
}


class Body(NamedTuple):
    """A prompt, and arguments of Request.build."""

    prompt: str | list[dict[str, Any]]
    fields: dict[str, Any]


def read_body(endpoint: str, body: Mapping[str, Any], models: Models) -> Body:
    """Check a body. Raises BadLine (invalid_request or model_not_found)."""
    known = _KNOWN[endpoint]
    if not body.keys() <= known:
        _refuse_unknown(body, known)
    fields: dict[str, Any] = {name: body[name] for name in body.keys() & _SAMPLING}
    fields["tier"] = models.tier_of(body.get("model"))
    if "max_completion_tokens" in body:
        fields["max_tokens"] = _most_tokens(body)
    if "metadata" in body or "user" in body:
        fields["metadata"] = _metadata(body)
    if "penstock" in body:
        fields.update(_ours(body["penstock"]))
    if body.get("response_format") is not None:
        fields["response_format"] = check_response_format(body["response_format"])
    return Body(_prompt(endpoint, body), fields)


def _prompt(endpoint: str, body: Mapping[str, Any]) -> str | list[dict[str, Any]]:
    if endpoint == CHAT:
        return turns_of(body.get("messages"))
    if endpoint == COMPLETIONS:
        return _text_to_complete(body.get("prompt"))
    return _texts_to_embed(body.get("input"))


def _text_to_complete(prompt: object) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    raise invalid("prompt must be one text, not several and not token ids", "prompt")


def _texts_to_embed(given: object) -> list[dict[str, Any]]:
    """One user message for each text."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid("input must be a text or a list of texts, not token ids", "input")
    if not texts or not all(text.strip() for text in texts):
        raise invalid("input has an empty text, or none; leave it out", "input")
    return [{"role": "user", "content": text} for text in texts]


def _refuse_unknown(body: Mapping[str, Any], known: frozenset[str]) -> None:
    for name, value in body.items():
        if name in known or value is None:
            continue
        if not any(value == harmless for harmless in _HARMLESS.get(name, ())):
            advice = _ADVICE.get(name, "it is not supported; leave it out")
            raise invalid(f"{name[:100]}: {advice}", name[:100])


def _most_tokens(body: Mapping[str, Any]) -> Any:
    new, old = body["max_completion_tokens"], body.get("max_tokens")
    if new is not None and old is not None and new != old:
        raise invalid("max_tokens and max_completion_tokens differ; write one", "max_tokens")
    return old if new is None else new


def _metadata(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata, user = body.get("metadata"), body.get("user")
    if metadata is not None and not isinstance(metadata, dict):
        raise invalid("metadata must be an object", "metadata")
    if user is not None and not isinstance(user, str):
        raise invalid("user must be text", "user")
    return {**(metadata or {}), **({} if user is None else {"user": user})}


def _ours(options: object) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise invalid(f"penstock must be an object with {', '.join(_OURS)}", "penstock")
    for name in options:
        if name == "tenant":
            raise invalid("all lines are of the batch's tenant; say --tenant", "penstock.tenant")
        if name not in _OURS:
            raise invalid(
                f"there is no option {name[:100]!r}; known are {', '.join(_OURS)}",
                f"penstock.{name[:100]}",
            )
    return options


def check_response_format(wanted: object) -> dict[str, Any]:
    """The format of the answers when it is one. Raises BadLine."""
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or kind not in ("text", "json_object", "json_schema"):
        raise invalid(
            "response_format must have the type text, json_object or json_schema",
            "response_format",
        )
    if kind == "json_schema":
        described = wanted.get("json_schema")
        if not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
            raise invalid("response_format.json_schema must have a schema", "response_format")
    return wanted
