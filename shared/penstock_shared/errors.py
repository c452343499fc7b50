"""Every error that Penstock raises on purpose.

PenstockError
├── InvalidRequest            the caller must change the request
│   ├── ContextTooLong
│   ├── UnknownTier
│   ├── IdempotencyConflict
│   └── BudgetExceeded
├── InvalidSuite              the file of an evaluation is wrong
├── InvalidBatch              lines of a batch file are wrong, nothing was spent
├── BatchBusy                 another command has this batch
├── BatchNotFound
├── BatchFailed               not one line of the batch has an answer
├── BatchStopped              it was paused or cancelled before every line had ended
│   └── MaxCostReached        because its money is spent
├── JobNotFound
├── JobNotSucceeded           the job ended without an answer
│   ├── JobFailed
│   ├── JobCancelled
│   ├── JobExpired
│   └── JobDead
├── ResultTimeout             the job goes on, the wait is over
├── SettingsError             penstock.toml or the environment is wrong
├── SchemaMismatch            the ledger has another schema version
├── HomeInUse                 another stack runs on this home
├── Unavailable               try again later, nothing is lost
│   ├── LedgerUnavailable
│   └── BrokerUnavailable
└── EngineError               the engine refused or died

``exit_status`` follows sysexits.h, so that scripts can tell the cases apart.
"""

from typing import ClassVar


class PenstockError(Exception):
    """Root of the tree: one line that says what is wrong and what to do."""

    code: ClassVar[str] = "penstock_error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 70

    @property
    def message(self) -> str:
        """The line for the person."""
        return str(self)


class InvalidRequest(PenstockError):
    """The request cannot be accepted as it is."""

    code = "invalid_request"
    http_status = 400
    exit_status = 65


class ContextTooLong(InvalidRequest):
    """Prompt and max_tokens do not fit into any tier."""

    code = "context_too_long"


class UnknownTier(InvalidRequest):
    """The request names a tier that the settings do not have."""

    code = "unknown_tier"


class IdempotencyConflict(InvalidRequest):
    """The idempotency key was used before, with another request."""

    code = "idempotency_conflict"
    http_status = 409


class BudgetExceeded(InvalidRequest):
    """A budget has not enough left for the request.

    ``budget`` names it, ``renews_ms`` is the moment at which its next period begins, and
    ``retry_after_s`` how many seconds that was away when the request was refused.
    """

    code = "budget_exceeded"
    http_status = 429
    exit_status = 77

    def __init__(
        self, message: str = "", *, budget: str = "", renews_ms: int = 0, retry_after_s: int = 0
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.renews_ms = renews_ms
        self.retry_after_s = retry_after_s


class InvalidSuite(PenstockError):
    """The suite of an evaluation, or what it is to be run against, cannot be used."""

    code = "invalid_suite"
    http_status = 400
    exit_status = 65


class InvalidBatch(PenstockError):
    """The input of a batch cannot be used as it is; nothing was accepted.

    ``reason`` is a code of the OpenAI Batch API, such as empty_file, ``line`` the first wrong one.
    """

    code = "invalid_batch"
    http_status = 400
    exit_status = 65

    def __init__(self, message: str = "", *, reason: str = "", line: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.line = line


class BatchBusy(PenstockError):
    """Another command works on this batch or writes to this output."""

    code = "batch_busy"
    http_status = 409
    exit_status = 73


class BatchNotFound(PenstockError):
    """The ledger has no such batch."""

    code = "batch_not_found"
    http_status = 404
    exit_status = 66


class BatchFailed(PenstockError):
    """The batch has ended, and not one of its lines has an answer."""

    code = "batch_failed"
    exit_status = 1


class BatchStopped(PenstockError):
    """The batch was paused or cancelled before every line had ended."""

    code = "batch_stopped"
    http_status = 409
    exit_status = 80


class MaxCostReached(BatchStopped):
    """The batch has spent what it may; what is done stays."""

    code = "max_cost_reached"
    http_status = 402
    exit_status = 79


class JobNotFound(PenstockError):
    """The ledger has no such job."""

    code = "job_not_found"
    http_status = 404
    exit_status = 66


class JobNotSucceeded(PenstockError):
    """The job ended, and there is no answer."""

    code = "job_not_succeeded"
    exit_status = 1


class JobFailed(JobNotSucceeded):
    """The request could not be served."""

    code = "job_failed"


class JobCancelled(JobNotSucceeded):
    """The caller withdrew the job."""

    code = "job_cancelled"


class JobExpired(JobNotSucceeded):
    """The deadline passed before the answer was there."""

    code = "job_expired"


class JobDead(JobNotSucceeded):
    """Every attempt was lost."""

    code = "job_dead"


class ResultTimeout(PenstockError, TimeoutError):
    """The wait is over; the job itself goes on."""

    code = "result_timeout"
    http_status = 408
    retryable = True
    exit_status = 75


class SettingsError(PenstockError):
    """A setting is wrong, unknown or missing."""

    code = "settings_error"
    exit_status = 78


class SchemaMismatch(PenstockError):
    """The ledger's schema is not the one that this version of Penstock was written for."""

    code = "schema_mismatch"
    exit_status = 78


class HomeInUse(PenstockError):
    """Another stack is running on this home."""

    code = "home_in_use"
    exit_status = 73


class Unavailable(PenstockError):
    """A service that Penstock needs does not answer."""

    code = "unavailable"
    http_status = 503
    retryable = True
    exit_status = 69


class LedgerUnavailable(Unavailable):
    """The ledger's database does not answer."""

    code = "ledger_unavailable"


class BrokerUnavailable(Unavailable):
    """Redis does not answer."""

    code = "broker_unavailable"


class EngineError(PenstockError):
    """The engine could not be started, refused a request, or died."""

    code = "engine_error"
    exit_status = 70
