"""How many seconds of a worker a request takes, measured or assumed.

The charges of all jobs of a tier are the time in which its engine was busy, whatever rule divides
it among them. For other lengths than those measured, an engine is taken to hold no more requests
at once, and no more tokens in its KV cache, than it did when it was measured: whichever of the two
asks for more time decides.
"""

from fractions import Fraction
from typing import NamedTuple, Protocol, Self

from penstock_producer.plan.bill.lengths import Lengths
from penstock_shared.ledger.traffic import EngineWork

_SECONDS_PER_HOUR = 3600


class Speed(Protocol):
    """What a tier's engine is able to do."""

    def seconds(self, lengths: Lengths) -> Fraction:
        """Seconds of a worker for the average request of these lengths."""
        ...


class Pace(NamedTuple):
    """How long an engine took for one request among others, in seconds per token."""

    prefill_s: Fraction
    decode_s: Fraction

    def inside_s(self, lengths: Lengths) -> Fraction:
        """How long a request is in the engine."""
        return self.prefill_s * lengths.prompt + self.decode_s * lengths.output

    def kv_token_s(self, lengths: Lengths) -> Fraction:
        """What it holds of the KV cache for how long.

        Half of the prompt while that is read, and the prompt with, on the average, half of the
        answer while that is written.
        """
        reading = self.prefill_s * lengths.prompt_squared / 2
        return reading + self.decode_s * (lengths.prompt_times_output + lengths.output_squared / 2)


class MeasuredSpeed(NamedTuple):
    """From charges in the ledger: exact for the lengths that they are of."""

    worker_s: Fraction  # for the average request of these lengths
    lengths: Lengths
    pace: Pace

    @classmethod
    def of_jobs(cls, work: list[EngineWork]) -> Self | None:
        """None where nothing was charged, such as at a price of 0, or nothing was written."""
        charged = sum((charged_seconds(each) for each in work), Fraction(0))
        if not charged:
            return None
        lengths = Lengths.of_jobs(work)
        pace = Pace(
            _per_token(sum(each.prefill_ms for each in work), sum(each.prompt for each in work)),
            _per_token(sum(each.decode_ms for each in work), sum(each.output for each in work)),
        )
        if not any(pace):
            pace = Pace(Fraction(1), Fraction(1))  # too short for the clock
        if not pace.inside_s(lengths) or not pace.kv_token_s(lengths):
            return None
        return cls(charged / sum(each.jobs for each in work), lengths, pace)

    def seconds(self, lengths: Lengths) -> Fraction:
        """Scaled by time in the engine, or by KV cache held, whichever is more."""
        inside = self.pace.inside_s(lengths) / self.pace.inside_s(self.lengths)
        held = self.pace.kv_token_s(lengths) / self.pace.kv_token_s(self.lengths)
        return self.worker_s * max(inside, held)


class AssumedSpeed(NamedTuple):
    """Tokens per second of a worker that is busy."""

    prompt_per_s: Fraction
    output_per_s: Fraction

    def seconds(self, lengths: Lengths) -> Fraction:
        """Reading and writing, one after the other."""
        return lengths.prompt / self.prompt_per_s + lengths.output / self.output_per_s


def charged_seconds(work: EngineWork) -> Fraction:
    """Seconds of a worker that were charged; 0 where its price was 0."""
    if not work.price_per_hour_pusd:
        return Fraction(0)
    return Fraction(work.charged_pusd * _SECONDS_PER_HOUR, work.price_per_hour_pusd)


def requests_at_once(work: list[EngineWork]) -> Fraction | None:
    """How many requests the engine held, on the average of its charged time; None: not known."""
    charged = sum((charged_seconds(each) for each in work), Fraction(0))
    inside = Fraction(sum(each.prefill_ms + each.decode_ms for each in work), 1000)
    return inside / charged if charged else None


def _per_token(milliseconds: int, tokens: int) -> Fraction:
    return Fraction(milliseconds, 1000 * tokens) if tokens else Fraction(0)
