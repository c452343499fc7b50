"""Cache keys: what must be equal before two questions are even compared."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from penstock_shared.request import Request, normalize
from penstock_shared.words import RequestKind

_END_CHARS: Final = 400


class CacheKey(NamedTuple):
    """``partition`` is everything but the last question; ``key`` is that and the question."""

    partition: str
    key: str
    question: str

    @property
    def to_encode(self) -> str:
        """What an encoder sees of the question: of a long one its end and its start.

        There it asks; encoders cut what is longer than some hundred tokens.
        """
        if len(self.question) <= 2 * _END_CHARS:
            return self.question
        return f"{self.question[-_END_CHARS:]}\n{self.question[:_END_CHARS]}"


def key_of(request: Request, identity: Mapping[str, Any]) -> CacheKey:
    """The key of a request to the model of this identity.

    Tenant, model, system prompt, earlier turns, every sampling parameter, the kind of request and
    the form of the answer make the partition, so nothing that differs in one of them can meet in
    the cache. The text of a completion counts to the letter.
    """
    before = [(m.role, normalize(m.content)) for m in request.messages[:-1]]
    parts: list[Any] = [request.tenant, dict(identity), before, request.sampling.model_dump()]
    if special := request.what_is_special():  # else the key is that of entries from before
        parts.append(special)
    partition = _fingerprint(json.dumps(parts, sort_keys=True))
    is_exact = request.kind is RequestKind.COMPLETION
    question = request.question if is_exact else normalize(request.question)
    return CacheKey(partition, _fingerprint(f"{partition}\n{question}"), question)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
