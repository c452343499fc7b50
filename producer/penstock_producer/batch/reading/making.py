"""A prompt and its parameters become a request that the router accepts."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock_producer.batch.reading.line import BadLine, Routed, invalid
from penstock_producer.batch.reading.options import COMPLETIONS, EMBEDDINGS, ReadOptions
from penstock_shared.errors import ContextTooLong, InvalidRequest, UnknownTier
from penstock_shared.request import Request, Sampling
from penstock_shared.routing import route
from penstock_shared.settings import Settings
from penstock_shared.words import RequestKind

MAX_CUSTOM_ID_CHARS: Final = 512
_SAMPLING: Final = frozenset(Sampling.model_fields)
_FIELD: Final = re.compile(r"^([a-z_][a-z_.\d]*): ")


class Maker:
    """Makes requests with what the options say of all lines."""

    def __init__(self, options: ReadOptions, settings: Settings) -> None:
        self._settings = settings
        common = {
            "tier": options.tier,
            "task_type": options.task_type,
            "tenant": options.tenant,
            "workflow": options.workflow,
            "cache": options.cache,
            **options.sampling,
        }
        self._common = {name: value for name, value in common.items() if value is not None}
        self._response_format = options.response_format

    def make(
        self, endpoint: str, prompt: str | Sequence[Mapping[str, Any]], given: Mapping[str, Any]
    ) -> Routed:
        """Build the request and route it, once for all later steps.

        ``given`` are arguments of Request.build; None is the same as absent. Raises BadLine.
        """
        fields = {**self._common, **{k: v for k, v in given.items() if v is not None}}
        fields.update(self._of_kind(endpoint, fields))
        try:
            return routed(Request.build(prompt, **fields), self._settings)
        except ContextTooLong as error:
            raise invalid(error.message, prompt_param(endpoint)) from None
        except InvalidRequest as error:
            named = _FIELD.match(error.message)
            raise BadLine(error.code, error.message, named[1] if named else None) from None

    def _of_kind(self, endpoint: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The kind of request that an endpoint means, and the format of its answer."""
        if endpoint == EMBEDDINGS:
            for name in _SAMPLING & fields.keys():
                del fields[name]
            fields.pop("response_format", None)
            # No answer takes a place in the context.
            return {"kind": RequestKind.EMBEDDING, "max_tokens": 1}
        kind = RequestKind.COMPLETION if endpoint == COMPLETIONS else RequestKind.CHAT
        wanted = fields.pop("response_format", self._response_format)
        is_text = wanted is None or wanted.get("type") == "text"
        return {"kind": kind, "response_format": None if is_text else wanted}


def routed(request: Request, settings: Settings) -> Routed:
    """Choose the tier. Raises BadLine for one that is unknown, and what the router raises."""
    try:
        return Routed(request, route(request, settings))
    except UnknownTier as error:
        raise BadLine("model_not_found", error.message) from None


def prompt_param(endpoint: str) -> str:
    """The name that an endpoint's body has for the prompt."""
    return {COMPLETIONS: "prompt", EMBEDDINGS: "input"}.get(endpoint, "messages")


def check_custom_id(custom_id: object, what: str = "custom_id") -> str:
    """The id when it can be one. Raises BadLine."""
    if not isinstance(custom_id, str) or not custom_id:
        raise invalid(f"{what} must be text that is not empty", what)
    if len(custom_id) > MAX_CUSTOM_ID_CHARS:
        raise invalid(
            f"{what} has {len(custom_id):,} characters and may have {MAX_CUSTOM_ID_CHARS}", what
        )
    if "\x00" in custom_id or not _is_unicode(custom_id):
        raise invalid(f"{what} has a NUL byte or a lone surrogate in it", what)
    return custom_id


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
