"""How long prompts and answers are: the five means that decide what requests take.

A request holds its prompt and what it has written so far in the KV cache while it writes, so the
squares and the product of the lengths count, and not only their means.
"""

from fractions import Fraction
from typing import NamedTuple, Self

from penstock_producer.plan.bill.figures import number
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger.traffic import EngineWork


class Lengths(NamedTuple):
    """Means over requests, in tokens and tokens squared."""

    prompt: Fraction
    output: Fraction
    prompt_squared: Fraction
    prompt_times_output: Fraction
    output_squared: Fraction

    @classmethod
    def of_jobs(cls, work: list[EngineWork]) -> Self:
        """The lengths of jobs in the ledger, at least one."""
        jobs = sum(each.jobs for each in work)
        names = ("prompt", "output", "prompt_squared", "prompt_times_output", "output_squared")
        return cls(*(Fraction(sum(getattr(e, n) for e in work), jobs) for n in names))

    @classmethod
    def of_distributions(cls, prompt: "Distribution", output: "Distribution") -> Self:
        """Lengths that do not depend on each other."""
        return cls(
            prompt.mean,
            output.mean,
            prompt.mean_square,
            prompt.mean * output.mean,
            output.mean_square,
        )


class Distribution(NamedTuple):
    """Lengths and how often each of them is; the shares add up to 1."""

    parts: tuple[tuple[int, Fraction], ...]

    @property
    def mean(self) -> Fraction:
        """Tokens."""
        return sum((tokens * share for tokens, share in self.parts), Fraction(0))

    @property
    def mean_square(self) -> Fraction:
        """Tokens squared."""
        return sum((tokens**2 * share for tokens, share in self.parts), Fraction(0))


def parse_distribution(text: str, option: str) -> Distribution:
    """Read ``300`` or ``200:0.7,4000:0.3``, tokens and shares of 1. Raises InvalidRequest."""
    parts = []
    for part in text.split(","):
        tokens, colon, share = part.partition(":")
        if not tokens.strip().isdecimal():
            raise InvalidRequest(f"{option}: write tokens such as 300, or 200:0.7,4000:0.3")
        parts.append((int(tokens), number(share, option) if colon else Fraction(1)))
    if sum(share for _, share in parts) != 1:
        raise InvalidRequest(f"{option}: the shares in {text!r} must add up to 1")
    return Distribution(tuple(parts))
