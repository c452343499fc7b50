"""What changes while a toy learns: the learning rate, and how often and how long documents come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from penstock_workers.toys.data import Size

WARM_UP_STEPS = 100
COOL_DOWN_FROM = 0.55


@dataclass(frozen=True, slots=True)
class Stage:
    """From `start` (share of the training) on: documents of that many sentences, that often."""

    start: float
    share: float
    sentences: tuple[int, int]


_NONE = (Stage(0.0, 0.0, (1, 1)),)
STAGES: Mapping[Size, tuple[Stage, ...]] = {
    "draft": _NONE,
    "small": _NONE,
    "medium": (Stage(0.0, 0.2, (4, 16)), Stage(0.5, 0.25, (10, 40)), Stage(0.8, 0.2, (10, 120))),
    "large": (
        Stage(0.0, 0.7, (3, 14)),
        Stage(0.3, 0.5, (8, 40)),
        Stage(0.55, 0.4, (20, 110)),
        Stage(0.75, 0.3, (60, 330)),
    ),
}
DRILL_STAGES = (
    Stage(0.0, 0.4, (4, 40)),
    Stage(0.25, 0.4, (8, 110)),
    Stage(0.5, 0.35, (30, 330)),
)
# The first quarter of the training in recall belongs to the drills.
RECALL_STAGES = (
    *_NONE,
    Stage(0.26, 0.6, (0, 8)),
    Stage(0.4, 0.6, (4, 40)),
    Stage(0.6, 0.5, (8, 110)),
    Stage(0.78, 0.45, (30, 330)),
)


def learning_rate(peak: float, step: int, progress: float) -> float:
    """Warm-up, then flat, then straight down to nothing."""
    rising = min(1.0, (step + 1) / WARM_UP_STEPS)
    falling = min(1.0, (1.0 - progress) / (1.0 - COOL_DOWN_FROM))
    return peak * rising * max(falling, 0.0)


def stage_at(stages: Sequence[Stage], progress: float) -> Stage:
    """The stage that a training is in."""
    return [stage for stage in stages if stage.start <= progress][-1]


def draw_sentences(rng: Random, stage: Stage) -> int:
    """A length within the stage, short ones more often."""
    low, high = stage.sentences
    return min(rng.randint(low, high), rng.randint(low, high))
