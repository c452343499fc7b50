"""The invariants: what has to hold after a drill, whatever broke while it ran."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from penstock_shared.broker import UNROUTED_QUEUE, queues_of
from penstock_shared.errors import BrokerUnavailable
from penstock_shared.ledger.database import Database
from penstock_workers.drill import caller_invariants, ledger_invariants
from penstock_workers.drill.evidence import Evidence, Facts, Violation
from penstock_workers.drill.history import History
from penstock_workers.drill.snapshot import read_snapshot

__all__ = ["INVARIANTS", "Facts", "Violation", "check", "messages_left"]

_PRIORITY: Final = "\x06\x16"  # kombu puts it between a queue's name and a priority
_LENGTHS: Final = {"list": "llen", "hash": "hlen", "zset": "zcard", "set": "scard"}


def check(history: History, database: Database, redis_url: str, facts: Facts) -> list[Violation]:
    """All violations; the system must be at rest. Raises Unavailable when it cannot be read."""
    evidence = Evidence(history, read_snapshot(database), facts)
    found = [violation for invariant in INVARIANTS for violation in invariant(evidence)]
    for key, count in messages_left(redis_url, facts.tier).items():
        found.append(Violation("message_left", None, f"{count} in {key}"))
    return found


def messages_left(redis_url: str, tier: str) -> dict[str, int]:
    """How many messages each Redis key holds, waiting or delivered and not acknowledged.

    Raises BrokerUnavailable.
    """
    try:
        with Redis.from_url(redis_url, decode_responses=True) as redis:
            return _messages(redis, {*queues_of(tier), UNROUTED_QUEUE})
    except RedisError as error:
        raise BrokerUnavailable(f"Redis cannot be read ({type(error).__name__})") from error


def _messages(redis: Any, queues: Collection[str]) -> dict[str, int]:
    left: dict[str, int] = {}
    for key in sorted(redis.scan_iter(count=1_000)):
        is_queue = key.split(_PRIORITY)[0] in queues
        if is_queue or key.endswith(("unacked", "unacked_index")):
            length = _LENGTHS.get(redis.type(key))
            left[key] = getattr(redis, length)(key) if length else 0
    return {key: count for key, count in left.items() if count}


def orphans(evidence: Evidence) -> Iterator[Violation]:
    """No process outlives what it belongs to."""
    for pid in evidence.facts.orphans:
        yield Violation("orphan", None, f"process {pid}")


INVARIANTS: Final[Sequence[Callable[[Evidence], Iterator[Violation]]]] = (
    caller_invariants.lost,
    caller_invariants.never_submitted,
    caller_invariants.two_jobs,
    caller_invariants.wrong_job,
    caller_invariants.wrong_outcome,
    caller_invariants.changed_result,
    ledger_invariants.not_ended,
    ledger_invariants.wrong_end,
    ledger_invariants.wrong_result,
    ledger_invariants.wrong_charge,
    ledger_invariants.wrong_attempts,
    ledger_invariants.unbalanced_books,
    orphans,
)
