"""Boarding: a request becomes what the engine takes."""

import hashlib
from typing import Final

from penstock_shared.request import Request
from penstock_workers.engine.protocol import EngineRequest
from penstock_workers.rendering import Renderer

_SALT_CHARS: Final = 16


def engine_request(
    request_id: str,
    request: Request,
    renderer: Renderer,
    *,
    max_model_len: int,
    background: bool = False,
) -> EngineRequest:
    """Render a request. Raises InvalidRequest when it cannot be, or does not fit."""
    token_ids = renderer.render(request, max_model_len)
    salt = hashlib.sha256(request.tenant.encode()).hexdigest()[:_SALT_CHARS]
    return EngineRequest(
        request_id,
        token_ids,
        request.sampling,
        salt,
        response_format=request.response_format,
        background=background,
    )
