"""Discretion: what Celery logs of messages and tasks, without anybody's words."""

import logging
from typing import Final

from celery.signals import setup_logging
from celery.worker.consumer import consumer as celery_consumer

_QUOTING_A_BODY: Final = frozenset(
    {
        celery_consumer.UNKNOWN_FORMAT,
        celery_consumer.UNKNOWN_TASK_ERROR,
        celery_consumer.INVALID_TASK_ERROR,
        celery_consumer.MESSAGE_DECODE_ERROR,
    }
)


class _OfTasks(logging.Filter):
    """No arguments, and nothing of messages that go back: there are many when a worker stops."""

    def filter(self, record: logging.LogRecord) -> bool:
        data = getattr(record, "data", None)
        if isinstance(data, dict):
            data.update(args="", kwargs="")
            return data.get("description") != "rejected"
        return True


class _OfMessages(logging.Filter):
    """Of a message that nobody can serve only the reason: Celery would log all of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg in _QUOTING_A_BODY:
            is_unknown = record.msg == celery_consumer.UNKNOWN_TASK_ERROR
            error = record.args[0] if isinstance(record.args, tuple) and record.args else None
            reason = f"no task {error}" if is_unknown else type(error).__name__
            record.msg, record.args = (
                "a message was dropped that no worker can serve: %s",
                (reason,),
            )
            record.exc_info = record.exc_text = None
        return True


_OF_TASKS: Final = _OfTasks()
_OF_MESSAGES: Final = _OfMessages()


def keep() -> None:
    """Let Celery log in our format, warnings and errors only, and nobody's words."""
    setup_logging.connect(_leave_it, weak=False)  # Celery would silence and reformat all of it
    for name in ("celery", "kombu", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_OF_TASKS)
    logging.getLogger(celery_consumer.__name__).addFilter(_OF_MESSAGES)


def _leave_it(**_: object) -> None:
    return
