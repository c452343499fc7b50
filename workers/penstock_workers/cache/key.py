"""Cache keys: what must be equal before two questions are even compared."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock_shared.request import Request, normalize


class CacheKey(NamedTuple):
    """``partition`` is everything but the last question; ``key`` is that and the question."""

    partition: str
    key: str
    question: str


def key_of(request: Request, identity: Mapping[str, Any]) -> CacheKey:
    """The key of a request to the model of this identity.

    Tenant, model, system prompt, earlier turns and every sampling parameter make the partition,
    so nothing that differs in one of them can meet in the cache.
    """
    before = [(m.role, normalize(m.content)) for m in request.messages[:-1]]
    parts = [request.tenant, dict(identity), before, request.sampling.model_dump()]
    partition = _fingerprint(json.dumps(parts, sort_keys=True))
    question = normalize(request.question)
    return CacheKey(partition, _fingerprint(f"{partition}\n{question}"), question)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
