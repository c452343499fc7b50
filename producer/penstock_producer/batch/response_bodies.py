"""Bodies of responses as the OpenAI client reads them."""

import json
from typing import Any

from penstock_shared.result import Result
from penstock_shared.words import JobState, RequestKind


def response_body(result: Result, finished_ms: int) -> dict[str, Any]:
    """The body of an answer: a chat completion, a completion, or a list of embeddings."""
    if result.kind is RequestKind.EMBEDDING:
        return _embeddings(result)
    is_chat = result.kind is RequestKind.CHAT
    choice: dict[str, Any] = {"index": 0, "finish_reason": _finish_reason(result), "logprobs": None}
    if is_chat:
        choice["message"] = {"role": "assistant", "content": result.text, "refusal": None}
    else:
        choice["text"] = result.text
    return {
        "id": f"{'chatcmpl' if is_chat else 'cmpl'}-{result.job_id}",
        "object": "chat.completion" if is_chat else "text_completion",
        "created": finished_ms // 1000,
        "model": result.model,
        "choices": [choice],
        "usage": _usage(result),
    }


def error_body(result: Result) -> dict[str, Any]:
    """The body for a line that was executed and has no answer."""
    is_fault_of_caller = result.status is JobState.FAILED
    return {
        "error": {
            "message": result.error or "no reason kept",
            "type": "invalid_request_error" if is_fault_of_caller else "server_error",
            "param": None,
            "code": f"job_{result.status.value}",
        }
    }


def _finish_reason(result: Result) -> str:
    return "length" if result.finish_reason == "length" else "stop"


def _usage(result: Result) -> dict[str, Any]:
    prompt, completion = result.prompt_tokens or 0, result.completion_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": result.cached_tokens or 0},
    }


def _embeddings(result: Result) -> dict[str, Any]:
    vectors = json.loads(result.text or "[]")
    prompt = result.prompt_tokens or 0
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "model": result.model,
        "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
    }
