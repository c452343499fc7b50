"""What the drill breaks, and what a fault is.

Faults have a beginning and an end, and one thread calls both, so that several can be under way at
once.
"""

from collections.abc import Sized
from typing import NamedTuple, Protocol

from penstock_shared.settings import Settings
from penstock_shared.stack.postgres_server import PostgresServer
from penstock_shared.stack.redis_server import RedisServer


class Stage(Protocol):
    """What faults are done to: the stack of the drill."""

    @property
    def settings(self) -> Settings:
        """The settings of all its parts."""

    @property
    def redis(self) -> RedisServer:
        """Its broker."""

    @property
    def postgres(self) -> PostgresServer | None:
        """Its ledger, if that is a server."""

    @property
    def workers(self) -> Sized:
        """Its workers; they are named by their numbers."""

    def worker_pid(self, index: int) -> int | None:
        """Process id of a worker while it runs."""

    def worker_id(self, index: int) -> str | None:
        """Under which name a running worker claims, once it has given a sign of life."""

    def engine_pid(self, index: int) -> int | None:
        """Process id of a worker's engine while both run."""

    def hold_down(self, name: str) -> None:
        """Leave this part down when it ends."""

    def let_up(self, name: str) -> None:
        """Start this part again, if it is down."""


class Hurt(NamedTuple):
    """A worker that was killed, stopped or frozen, and when."""

    worker_id: str
    at_ms: int


class Fault(Protocol):
    """Something that goes wrong, and is over after a while."""

    hurt: Hurt | None
    target: str

    def begin(self) -> bool:
        """Do it; False when it cannot be done now."""

    def end(self) -> None:
        """Let it be over. Harmless when it is called twice, or when ``begin`` never was."""
