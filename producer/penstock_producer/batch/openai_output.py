"""The output and error file of the OpenAI Batch API, with a key ``penstock`` on each line."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.json_records import json_pieces
from penstock_producer.batch.layouts import Foreign, Piece, Written
from penstock_producer.batch.response_bodies import error_body, response_body
from penstock_shared import clock, money
from penstock_shared.result import Result
from penstock_shared.words import JobState

_BEGINNING: Final = b'{"id":"batch_req_'
_NEVER_EXECUTED: Final = {
    JobState.CANCELLED: "batch_cancelled",
    JobState.EXPIRED: "batch_expired",
}
_HTTP_STATUS: Final = {JobState.FAILED: 400, JobState.DEAD: 500}


class OpenAIOutput:
    """Renders and recognises the lines of one batch."""

    header: bytes = b""

    def __init__(self, batch_id: str) -> None:
        self._batch_id = batch_id

    def render(self, ended: EndedLine, row: Mapping[str, Any] | None = None) -> bytes:  # noqa: ARG002
        """One line."""
        response, error = self._outcome(ended)
        line = {
            "id": f"batch_req_{ended.result.job_id if ended.result else self._id_of(ended)}",
            "custom_id": ended.custom_id,
            "response": response,
            "error": error,
            "penstock": self._provenance(ended),
        }
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def pieces(self, stream: BinaryIO) -> Iterator[Piece]:
        """See Layout."""
        return json_pieces(stream, self._recognise)

    def may_begin(self, content: bytes) -> bool:
        """See Layout."""
        return content.startswith(_BEGINNING) or _BEGINNING.startswith(content)

    def _recognise(self, values: dict[str, Any]) -> Written:
        own = values["penstock"]
        if own["batch"] != self._batch_id:
            raise Foreign(f"it belongs to batch {own['batch']}")
        return Written(
            int(own["line"]),
            own.get("status") != JobState.SUCCEEDED.value,
            bool(own.get("cached")),
            int(own.get("prompt_tokens") or 0),
            int(own.get("completion_tokens") or 0),
        )

    def _outcome(self, ended: EndedLine) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The response and the error; one of them is None."""
        if ended.result is None:
            refusal = ended.refusal
            code, why = (refusal.code, refusal.message) if refusal else ("batch_failed", "")
            return None, {"code": code, "message": why}
        status = ended.result.status
        if status in _NEVER_EXECUTED:
            message = ended.result.error or "this line was never executed"
            return None, {"code": _NEVER_EXECUTED[status], "message": message}
        body = (
            error_body(ended.result)
            if ended.is_failed
            else response_body(ended.result, ended.finished_ms)
        )
        http_status = _HTTP_STATUS.get(status, 200)
        request_id = ended.result.job_id
        return {"status_code": http_status, "request_id": request_id, "body": body}, None

    def _provenance(self, ended: EndedLine) -> dict[str, Any]:
        own: dict[str, Any] = {"batch": self._batch_id, "line": ended.line}
        if ended.result is None:
            return {**own, "status": "invalid"}
        return {**own, **provenance(ended.result, ended.finished_ms)}

    def _id_of(self, ended: EndedLine) -> str:
        return f"{self._batch_id.removeprefix('batch_')}_{ended.line}"


def provenance(result: Result, finished_ms: int) -> dict[str, Any]:
    """What became of a line, at what cost; moments are ISO 8601 in UTC, times milliseconds."""
    created_ms = finished_ms - (result.latency_ms or 0)
    return {
        "status": result.status.value,
        "tier": result.tier,
        "reason": result.reason,
        "task_type": result.task_type.value,
        "cached": result.cached,
        "source": result.source.value if result.source else None,
        "prompt_tokens": result.prompt_tokens,
        "cached_tokens": result.cached_tokens,
        "completion_tokens": result.completion_tokens,
        "cost_usd": None if result.charge_usd is None else money.usd_text(result.charge_usd),
        "attempts": result.attempts,
        "accepted_at": clock.to_iso(created_ms),
        "finished_at": clock.to_iso(finished_ms),
        "queue_ms": result.queue_ms,
        "prefill_ms": result.prefill_ms,
        "decode_ms": result.decode_ms,
    }
