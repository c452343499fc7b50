"""The names that callers import are a promise."""

import subprocess
import sys

import penstock_producer


def test_the_exported_names_are_these() -> None:
    assert penstock_producer.__all__ == [
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


def test_every_exported_name_exists() -> None:
    assert all(hasattr(penstock_producer, name) for name in penstock_producer.__all__)


def test_importing_the_callers_side_imports_no_heavy_package() -> None:
    code = (
        "import sys, penstock_producer; "
        "print(sorted({'torch', 'vllm', 'numpy', 'transformers', 'penstock_workers'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
