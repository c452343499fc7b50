"""What the reports of speed have in common."""

import math
import statistics
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A part of a report: written as JSON, read again, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(Frozen):
    """The median over the rounds, with the least and the largest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Spread of at least one value."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def medians(rounds: int) -> str:
    """How sure the figures are, in words."""
    return "one round" if rounds == 1 else f"medians of {rounds} rounds"


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that is not below ``share`` of all of them (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
