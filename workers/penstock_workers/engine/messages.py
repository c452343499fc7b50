"""What a worker and its engine's process say to each other."""

from typing import NamedTuple

from penstock_workers.engine.protocol import Completion, EngineLimits, EngineRequest, Pulse


class Submit(NamedTuple):
    """Worker to engine: add these."""

    requests: tuple[EngineRequest, ...]


class Abort(NamedTuple):
    """Worker to engine: stop these."""

    request_ids: tuple[str, ...]


class Close(NamedTuple):
    """Worker to engine: stop."""


class Ready(NamedTuple):
    """Engine to worker: loaded."""

    limits: EngineLimits


class Completions(NamedTuple):
    """Engine to worker: these ended. The pulse's meter has all that they cost."""

    completions: tuple[Completion, ...]
    pulse: Pulse


class Failure(NamedTuple):
    """Engine to worker: could not start, or died of this."""

    error: str
