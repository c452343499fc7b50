"""What a batch will cost and how long it will take, before anything is spent.

An engine's charges are the seconds that it worked, so one figure answers both: seconds of a worker
per token, from the requests that the tier answered lately. A token of a prompt counts as the part
of a token of an answer that it took in time. How long answers will be is taken from the same
requests, cut at what the batch allows. Nothing is taken off for what a cache may answer.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from penstock_producer.batch.preparing import Preparation, TierLoad
from penstock_producer.batch.reading.options import EMBEDDINGS
from penstock_producer.batch.spread import inner_band
from penstock_shared import clock
from penstock_shared.ledger.batches import measuring
from penstock_shared.ledger.batches.measuring import Measured
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import ASSUMED_TOKENS_PER_S
from penstock_shared.settings import Settings

_ASSUMED_AT_ONCE: Final = 16  # requests in an engine, at the best, where nothing was measured
_GROUP: Final = 20  # requests whose mean is one measurement
_GROUPS: Final = 10
_LEAST_GROUPS: Final = 3  # with fewer, nobody knows how measurements differ
_WIDENED: Final = 2
_SECONDS_PER_HOUR: Final = 3600


class Band(NamedTuple):
    """A figure, and between what it is expected."""

    low: Fraction
    middle: Fraction
    high: Fraction

    def times(self, factor: Fraction | int) -> "Band":
        """Each of the three."""
        return Band(self.low * factor, self.middle * factor, self.high * factor)


NOTHING: Final = Band(Fraction(0), Fraction(0), Fraction(0))


class TierEstimate(NamedTuple):
    """Of the lines of one tier: seconds of a worker, and what these cost in picodollars.

    ``measured_on`` counts the requests that it rests on; 0: it is assumed. ``seconds`` is the time
    on the tier's ``workers``, or on one, where none runs. Vectors are free: the engine makes none,
    and nobody measures the encoder's time.
    """

    tier: str
    load: TierLoad
    workers: int
    measured_on: int
    answer_tokens: int
    worker_s: Band
    cost_pusd: Band
    is_free: bool = False

    @property
    def seconds(self) -> Band:
        """How long it takes when nobody else needs the workers."""
        return self.worker_s.times(Fraction(1, max(1, self.workers)))

    @property
    def tokens(self) -> int:
        """Of prompts, and of answers as long as expected."""
        return self.load.prompt_tokens + self.answer_tokens


class Estimate(NamedTuple):
    """Of a batch, tier by tier. Tiers work side by side."""

    tiers: tuple[TierEstimate, ...]

    @property
    def cost_pusd(self) -> Band:
        """Of all tiers."""
        return Band(*(sum(each, Fraction(0)) for each in self._columns("cost_pusd")))

    @property
    def seconds(self) -> Band:
        """Of the tier that takes longest."""
        return Band(*(max(each, default=Fraction(0)) for each in self._columns("seconds")))

    def _columns(self, name: str) -> list[tuple[Fraction, ...]]:
        bands = [getattr(tier, name) for tier in self.tiers] or [NOTHING]
        return list(zip(*bands, strict=True))


def estimate(preparation: Preparation, settings: Settings, database: Database) -> Estimate:
    """Estimate the lines of each tier from what the ledger has measured."""
    loads = preparation.tiers
    silent_before = clock.now_ms() - round(settings.worker.lease_s * 1000)
    workers = measuring.live_workers(database, seen_since_ms=silent_before)
    if preparation.endpoint == EMBEDDINGS:
        return Estimate(
            tuple(_free(tier, load, workers.get(tier, 0)) for tier, load in sorted(loads.items()))
        )
    recent = measuring.recent(database, loads)
    return Estimate(
        tuple(
            estimate_tier(
                tier,
                load,
                recent[tier],
                price_per_hour_pusd=settings.tiers[tier].price_per_hour_pusd,
                workers=workers.get(tier, 0),
            )
            for tier, load in sorted(loads.items())
        )
    )


def _free(tier: str, load: TierLoad, workers: int) -> TierEstimate:
    load = load._replace(max_answer_tokens=0)
    return TierEstimate(tier, load, workers, 0, 0, NOTHING, NOTHING, is_free=True)


def estimate_tier(
    tier: str,
    load: TierLoad,
    recent: Sequence[Measured],
    *,
    price_per_hour_pusd: int,
    workers: int,
) -> TierEstimate:
    """Estimate one tier's lines from its recent requests, the newest first."""
    usable = [each for each in recent if _is_usable(each)]
    if usable:
        answers = _answer_tokens(usable, load)
        worker_s = _measured_band(usable, load)
    else:
        answers, worker_s = Fraction(load.max_answer_tokens), _assumed_band(load)
    return TierEstimate(
        tier,
        load,
        workers,
        measured_on=len(usable),
        answer_tokens=round(answers),
        worker_s=worker_s,
        cost_pusd=worker_s.times(Fraction(price_per_hour_pusd, _SECONDS_PER_HOUR)),
    )


def _is_usable(each: Measured) -> bool:
    """Whether it says how long a worker took for an answer."""
    return min(each.price_per_hour_pusd, each.charged_pusd, each.completion_tokens) > 0


def _assumed_band(load: TierLoad) -> Band:
    """At the speed that budgets assume too: one request at a time, every answer at its longest."""
    seconds = Fraction(load.prompt_tokens + load.max_answer_tokens, ASSUMED_TOKENS_PER_S)
    return Band(seconds / _ASSUMED_AT_ONCE, seconds, seconds)


def _measured_band(usable: Sequence[Measured], load: TierLoad) -> Band:
    weight = _prompt_weight(usable)
    middle = _worker_s(usable, load, weight)
    size = max(_GROUP, -(-len(usable) // _GROUPS))
    groups = [usable[start : start + size] for start in range(0, len(usable), size)]
    whole = [group for group in groups if len(group) == size]
    if len(whole) < _LEAST_GROUPS:
        return Band(middle / _WIDENED, middle, middle * _WIDENED)
    low, high = inner_band([_worker_s(group, load, weight) for group in whole])
    return Band(min(low, middle), middle, max(high, middle))


def _worker_s(measured: Sequence[Measured], load: TierLoad, weight: Fraction) -> Fraction:
    """Seconds of a worker for all lines, if they take what these requests took."""
    took = sum(
        Fraction(m.charged_pusd * _SECONDS_PER_HOUR, m.price_per_hour_pusd) for m in measured
    )
    size = sum(weight * m.prompt_tokens + m.completion_tokens for m in measured)
    wanted = weight * load.prompt_tokens + _answer_tokens(measured, load)
    return Fraction(took * wanted / size)


def _answer_tokens(measured: Sequence[Measured], load: TierLoad) -> Fraction:
    """How long all answers together will be.

    A request that was stopped at its max_tokens might have gone on to any length.
    """
    if not load.lines:
        return Fraction(0)
    most = Fraction(load.max_answer_tokens, load.lines)
    expected = [
        min(Fraction(m.completion_tokens), most) if m.completion_tokens < m.max_tokens else most
        for m in measured
    ]
    return load.lines * sum(expected, Fraction(0)) / len(expected)


def _prompt_weight(measured: Sequence[Measured]) -> Fraction:
    """How much of the time of a token of an answer a token of a prompt takes, at most all."""
    prompt, answer = (
        sum(m.prompt_tokens for m in measured),
        sum(m.completion_tokens for m in measured),
    )
    prefill_ms, decode_ms = sum(m.prefill_ms for m in measured), sum(m.decode_ms for m in measured)
    if not (prompt and answer and prefill_ms and decode_ms):
        return Fraction(1)
    return min(Fraction(1), Fraction(prefill_ms * answer, prompt * decode_ms))
