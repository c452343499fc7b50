"""The jobs of a round: distinct short questions with output lengths as answers have them."""

import random
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

from penstock_shared.request import Request

_MEDIAN_TOKENS: Final = 37
_SIGMA: Final = 0.95
_FEWEST_TOKENS: Final = 8
_MOST_TOKENS: Final = 256
_WHO: Final = ("a nurse", "a farmer", "a pilot", "a student", "a baker", "a judge", "an engineer")
_WHAT: Final = ("rivers", "taxes", "batteries", "vaccines", "bridges", "contracts", "whales")
_WHEN: Final = ("before a storm", "in winter", "after an audit", "on a long journey", "at night")


class Item(NamedTuple):
    """One job: what is asked, and exactly how many tokens are to be generated."""

    prompt: str
    max_tokens: int


def make_items(count: int, *, round_number: int) -> list[Item]:
    """The jobs of one round. Lengths are the same in every round, no prompt ever comes twice."""
    draw = random.Random(round_number)
    return [
        Item(_question(draw, round_number, number), tokens)
        for number, tokens in enumerate(_lengths(count))
    ]


def request_of(item: Item) -> Request:
    """The item as Penstock's request: greedy, and of exactly the length that is wanted."""
    return Request.build(item.prompt, max_tokens=item.max_tokens, ignore_eos=True)


def thin(items: Sequence[Item], count: int) -> list[Item]:
    """``count`` of the items in their order, with lengths spread as those of all of them."""
    by_length = sorted(range(len(items)), key=lambda place: items[place].max_tokens)
    step = len(items) / min(count, len(items))
    chosen = {by_length[int((place + 0.5) * step)] for place in range(min(count, len(items)))}
    return [item for place, item in enumerate(items) if place in chosen]


def _lengths(count: int) -> list[int]:
    """Quantiles of a lognormal distribution, in random order: the same mix for every count."""
    normal = NormalDist()
    draw = random.Random(count)
    lengths = [
        round(_MEDIAN_TOKENS * 2.718281828 ** (_SIGMA * normal.inv_cdf((place + 0.5) / count)))
        for place in range(count)
    ]
    draw.shuffle(lengths)
    return [min(max(length, _FEWEST_TOKENS), _MOST_TOKENS) for length in lengths]


def _question(draw: random.Random, round_number: int, number: int) -> str:
    who, what, when = draw.choice(_WHO), draw.choice(_WHAT), draw.choice(_WHEN)
    return (
        f"Case {round_number}-{number}: what should {who} know about {what} {when}, "
        f"and what would you ask {draw.choice(_WHO)} first?"
    )
