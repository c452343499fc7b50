"""Callers' side of Penstock: submit prompts, come back for answers and prices."""

from penstock_producer.async_client import AsyncClient, AsyncJob
from penstock_producer.client import Client, Job
from penstock_shared.errors import (
    BatchBusy,
    BatchNotFound,
    BrokerUnavailable,
    BudgetExceeded,
    ContextTooLong,
    IdempotencyConflict,
    InvalidBatch,
    InvalidRequest,
    JobCancelled,
    JobDead,
    JobExpired,
    JobFailed,
    JobNotFound,
    JobNotSucceeded,
    LedgerUnavailable,
    PenstockError,
    ResultTimeout,
    SchemaMismatch,
    SettingsError,
    Unavailable,
    UnknownTier,
)
from penstock_shared.request import Message, Request, Sampling
from penstock_shared.result import Result
from penstock_shared.settings import Settings, load_settings
from penstock_shared.words import JobState, RequestKind, Source, TaskType

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "BatchBusy",
    "BatchNotFound",
    "BrokerUnavailable",
    "BudgetExceeded",
    "Client",
    "ContextTooLong",
    "IdempotencyConflict",
    "InvalidBatch",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobDead",
    "JobExpired",
    "JobFailed",
    "JobNotFound",
    "JobNotSucceeded",
    "JobState",
    "LedgerUnavailable",
    "Message",
    "PenstockError",
    "Request",
    "RequestKind",
    "Result",
    "ResultTimeout",
    "Sampling",
    "SchemaMismatch",
    "Settings",
    "SettingsError",
    "Source",
    "TaskType",
    "Unavailable",
    "UnknownTier",
    "load_settings",
]
