"""The Celery task penstock.infer: Celery's view of a job, and the door for foreign Celery apps."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from celery import Celery, Task
from celery.exceptions import Reject
from celery.worker.request import Request as CeleryRequest

from penstock_shared.broker import TASK_NAME, queue_of, tier_of
from penstock_shared.errors import InvalidRequest, JobNotSucceeded
from penstock_shared.request import Request
from penstock_shared.templates import ENVIRONMENT, TEMPLATE_ERRORS
from penstock_shared.words import JobState
from penstock_workers.desk import Desk
from penstock_workers.intake import Requeue

_POLL_S: Final = 1
_SILENT: Final = {"argsrepr": "", "kwargsrepr": ""}


class SilentRequest(CeleryRequest):  # type: ignore[misc]
    """A delivered message whose arguments show in no event, no log and no Flower page."""

    argsrepr = ""
    kwargsrepr = ""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        message.headers.update(_SILENT)
        super().__init__(message, *args, **kwargs)
        self._request_dict.update(_SILENT)  # of Celery's first protocol it is no copy of headers
        self._argsrepr = self._kwargsrepr = ""

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002 - Celery's
        """What ``celery inspect`` and Flower show of a message that waits or runs."""
        return {**super().info(safe=True), "args": "", "kwargs": ""}


def register(app: Celery, desk: Desk) -> Task:
    """Put penstock.infer on the app, served by ``desk``."""

    @app.task(  # type: ignore[untyped-decorator]  # Celery has no types
        name=TASK_NAME,
        bind=True,
        Request=SilentRequest,
        throws=(JobNotSucceeded, InvalidRequest),
        max_retries=None,
    )
    def infer(
        self: Task,
        upstream: object = None,
        *,
        prompt: str | None = None,
        messages: list[Any] | None = None,
        template: str | None = None,
        **fields: Any,
    ) -> dict[str, str]:
        """Bring one job to its end; the job's id is the task's id.

        Without a prompt the job is in the ledger already. With ``prompt``, ``messages`` or
        ``template`` (a Jinja2 template over ``answer`` and ``answers`` of the jobs before this
        one in a chain or chord) it enters the ledger now. The result is the job's id and state.
        """
        job_id = self.request.id
        if template is not None:
            prompt = _fill(template, desk.answers(_ids(upstream)))
        content = messages if prompt is None else prompt
        if content is not None:
            queue = self.request.delivery_info.get("routing_key", "")
            request = Request.build(content, **fields)
            tier = desk.take_in(job_id, request, tier_of(queue))
            if tier != desk.tier:
                raise self.retry(queue=queue_of(tier), countdown=0)
        return _bring_to_end(self, desk, job_id)

    task: Task = infer
    return task


def _bring_to_end(task: Task, desk: Desk, job_id: str) -> dict[str, str]:
    try:
        state = desk.outcome(job_id)
    except Requeue:
        raise Reject("this worker stops", requeue=True) from None
    if state is JobState.SUCCEEDED:
        return {"job_id": job_id, "state": state.value}
    if state.is_terminal:
        raise JobNotSucceeded(f"job {job_id} {state.value}")
    # Somebody else has it, or it is not due. The ledger looks after the job; a chain or chord
    # needs this message alive until the job has ended.
    if task.request.ignore_result:
        return {"job_id": job_id, "state": state.value}
    raise task.retry(countdown=_POLL_S)


def _ids(upstream: object) -> list[str]:
    outcomes = upstream if isinstance(upstream, list) else [upstream]
    ids = [o["job_id"] for o in outcomes if isinstance(o, Mapping) and "job_id" in o]
    if len(ids) != len(outcomes) or not ids:
        raise InvalidRequest(
            "a template needs the results of penstock.infer before it in the chain or chord"
        )
    return ids


def _fill(template: str, answers: Sequence[str]) -> str:
    try:
        return ENVIRONMENT.from_string(template).render(answers=answers, answer=answers[0])
    except TEMPLATE_ERRORS as error:  # their messages may quote an answer
        raise InvalidRequest(f"the template cannot be filled: {type(error).__name__}") from None
