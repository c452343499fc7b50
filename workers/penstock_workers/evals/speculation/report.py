"""What ``eval speculation`` found, to be written as JSON and read again."""

from typing import Any

from penstock_shared.old_engine_options import to_toml
from penstock_shared.words import TaskType
from penstock_workers.evals.reports import Frozen, Spread


class Variant(Frozen):
    """The baseline's configuration with this speculative_config."""

    name: str
    speculative_config: dict[str, Any]


class Measurement(Frozen):
    """One variant on one task type at one batch size, against the baseline.

    ``speed_up`` is the ratio of output tokens per second of the same round. ``accepted_length``
    is tokens per verified draft, with the token that the model itself adds: 1 when nothing was
    accepted. Both it and ``acceptance_rate`` are None when nothing was drafted. ``changed`` counts
    answers, out of ``compared``, that differ from the baseline's of the same round. ``baseline_s``
    estimates how long the suite's cases of this task type take the baseline at this batch size.
    """

    variant: str
    task_type: TaskType
    batch_size: int
    cases: int
    failed: int
    baseline_tokens_per_s: float
    tokens_per_s: float
    speed_up: Spread
    acceptance_rate: float | None
    accepted_length: float | None
    changed: int
    compared: int
    baseline_s: float


class Advice(Frozen):
    """Up to which batch size a variant is worth it for a task type; 0: at none."""

    variant: str
    task_type: TaskType
    up_to: int

    @property
    def text(self) -> str:
        """In words."""
        return f"on up to batch {self.up_to}" if self.up_to else "off"


class Step(Frozen):
    """The best number of speculative tokens at a measured batch size, over the suite's mix."""

    batch_size: int
    tokens: int
    speed_up: float


class Recommendation(Frozen):
    """Where to turn speculation on, and one setting for a tier that serves the whole suite.

    ``speculative_config`` is None where it is best left off. ``off_measured``: a step of zero
    tokens has the speed-up that was measured for drafting nothing, not 1.
    """

    advice: tuple[Advice, ...]
    steps: tuple[Step, ...]
    speculative_config: dict[str, Any] | None
    off_measured: bool

    @property
    def toml(self) -> str | None:
        """The line for penstock.toml."""
        if self.speculative_config is None:
            return None
        return f"speculative_config = {to_toml(self.speculative_config)}"

    @property
    def reads_along(self) -> bool:
        """True when a draft model has to run also in batches for which nothing is drafted."""
        drafts = self.speculative_config is not None and "model" in self.speculative_config
        return drafts and any(step.tokens == 0 for step in self.steps)


class SpeculationReport(Frozen):
    """All that ``eval speculation`` found.

    ``baseline_changed`` counts the baseline's own answers, out of ``baseline_compared``, that
    differ between rounds: what rounding does without any speculation.
    """

    suite: str
    suite_digest: str
    baseline: str
    model: str
    options: dict[str, Any]
    variants: tuple[Variant, ...]
    batch_sizes: tuple[int, ...]
    rounds: int
    in_turn: bool
    max_num_seqs: int
    least_gain: float
    measurements: tuple[Measurement, ...]
    baseline_changed: int
    baseline_compared: int
    recommendation: Recommendation

    @property
    def task_types(self) -> tuple[TaskType, ...]:
        """The task types that were measured, in the order of the words."""
        measured = {row.task_type for row in self.measurements}
        return tuple(task_type for task_type in TaskType if task_type in measured)

    def of(self, variant: str, task_type: TaskType) -> tuple[Measurement, ...]:
        """One variant on one task type, by batch size."""
        rows = (m for m in self.measurements if (m.variant, m.task_type) == (variant, task_type))
        return tuple(sorted(rows, key=lambda row: row.batch_size))
