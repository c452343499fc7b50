"""What the command line says of the month; None or nothing where it says nothing."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from penstock_producer.plan.bill.figures import DEFAULT, GIVEN, Figure, by_tier, number
from penstock_producer.plan.bill.lengths import Lengths, parse_distribution
from penstock_producer.plan.bill.month import Remedy
from penstock_shared.errors import InvalidRequest

DEFAULT_PEAK: Final = Fraction(3)
DEFAULT_UTILIZATION: Final = Fraction(8, 10)
DEFAULT_OUTPUT_PER_S: Final = Fraction(1_000)
DEFAULT_PROMPT_PER_S: Final = Fraction(10_000)
_SPEEDUP: Final = Fraction(1)  # a remedy that nobody measured saves nothing


class Options(NamedTuple):
    """Texts, as they were written."""

    requests: str | None = None
    prompt_tokens: str | None = None
    output_tokens: str | None = None
    cache_hit_rate: str | None = None
    shares: Sequence[str] = ()
    prices: Sequence[str] = ()
    output_per_s: Sequence[str] = ()
    prompt_per_s: Sequence[str] = ()
    peak: str | None = None
    utilization: str | None = None
    can_wait: str | None = None
    quantization_speedup: str | None = None
    speculation_speedup: str | None = None
    batch_speedup: str | None = None

    def lengths(self) -> Lengths | None:
        """Both distributions, or None. Raises InvalidRequest when only one was given."""
        if self.prompt_tokens is None and self.output_tokens is None:
            return None
        if self.prompt_tokens is None or self.output_tokens is None:
            raise InvalidRequest("give --prompt-tokens and --output-tokens together")
        return Lengths.of_distributions(
            parse_distribution(self.prompt_tokens, "--prompt-tokens"),
            parse_distribution(self.output_tokens, "--output-tokens"),
        )

    def routing(self, tiers: Sequence[str]) -> dict[str, Fraction]:
        """The share of each tier, of 1 in all; nothing where none was given."""
        shares = by_tier(self.shares, "--share", tiers, most=1)
        if shares and sum(shares.values()) != 1:
            raise InvalidRequest("--share: the shares of the tiers must add up to 1")
        return shares

    def speedup(self, remedy: Remedy) -> Figure:
        """How much faster a tier is with a remedy, where the ledger does not say."""
        name, text = {
            Remedy.QUANTIZATION: ("--quantization-speedup", self.quantization_speedup),
            Remedy.SPECULATION: ("--speculation-speedup", self.speculation_speedup),
            Remedy.BATCH_WINDOW: ("--batch-speedup", self.batch_speedup),
        }[remedy]
        return _positive(text, name, _SPEEDUP)

    def peak_factor(self) -> Figure | None:
        """The busiest hour over the average hour."""
        if self.peak is None:
            return None
        return Figure(number(self.peak, "--peak", least=Fraction(1)), GIVEN)

    def busy_at_peak(self) -> Figure:
        """How busy a worker may be."""
        return _positive(self.utilization, "--utilization", DEFAULT_UTILIZATION, most=1)

    def share_that_waits(self) -> Figure:
        """Share of the requests that need no answer at the peak."""
        if self.can_wait is None:
            return Figure(Fraction(0), DEFAULT)
        return Figure(number(self.can_wait, "--can-wait", most=1), GIVEN)

    def hit_rate(self) -> Figure | None:
        """Share of the requests that the cache answers."""
        if self.cache_hit_rate is None:
            return None
        return Figure(number(self.cache_hit_rate, "--cache-hit-rate", most=1), GIVEN)

    def requests_a_month(self) -> Figure | None:
        """How many there are."""
        if self.requests is None:
            return None
        return Figure(number(self.requests, "--requests", above=True), GIVEN)


def _positive(
    text: str | None, option: str, otherwise: Fraction, most: int | None = None
) -> Figure:
    if text is None:
        return Figure(otherwise, DEFAULT)
    return Figure(number(text, option, above=True, most=most), GIVEN)
