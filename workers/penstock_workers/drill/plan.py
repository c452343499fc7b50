"""What the clients of the drill submit, and when: a function of the seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from penstock_workers.drill.script import POISON, REFUSED

POISON_SHARE: Final = 0.001
LONG_SHARE: Final = 0.02
_REFUSED_SHARE: Final = 0.01
_REPEATED_SHARE: Final = 0.03
_INVALID_SHARE: Final = 0.02  # from here on: besides the jobs that are accepted
_TWIN_SHARE: Final = 0.05
_CONFLICT_SHARE: Final = 0.01
_SUBMITTING: Final = 0.85  # the part of the time in which new jobs come
_POISONED: Final = 0.5  # each poisonous job costs some workers, so none comes late
_TWIN_S: Final = 0.05
_CONFLICT_S: Final = 1.0
_PLAIN_TOKENS: Final = (5, 60)
_INVALID: Final = {"temperature": 9.0}


class Kind(StrEnum):
    """What a line of a plan is for."""

    PLAIN = "plain"
    LONG = "long"  # runs for longer than a lease
    POISON = "poison"  # kills the engine that answers it
    REFUSED = "refused"  # the engine says no
    INVALID = "invalid"  # must not be accepted
    TWIN = "twin"  # the same key and body as a line of another client
    CONFLICT = "conflict"  # the key of an earlier line with another body: must not be accepted


_TOKENS: Final = {Kind.LONG: (600, 1500), Kind.POISON: (20, 20)}
_LAST_WORDS: Final = {Kind.POISON: (POISON,), Kind.REFUSED: (REFUSED,)}


class Line(NamedTuple):
    """One submission of one client."""

    at_s: float
    key: str
    prompt: str
    max_tokens: int
    kind: Kind
    sampling: dict[str, Any]


def client_plans(
    *,
    jobs: int,
    seconds: float,
    seed: int,
    clients: int,
    long_share: float = LONG_SHARE,
    poison_share: float = POISON_SHARE,
) -> list[list[Line]]:
    """For each client what it submits, in the order of time; ``jobs`` of it are to be accepted."""
    dice = random.Random(f"jobs {seed}")
    shares = {Kind.POISON: poison_share, Kind.REFUSED: _REFUSED_SHARE, Kind.LONG: long_share}
    kinds = _kinds(jobs, shares, dice)
    accepted = _accepted(kinds, seconds * _SUBMITTING, dice)
    plans: list[list[Line]] = [[] for _ in range(clients)]
    for number, line in enumerate(accepted):
        plans[number % clients].append(line)
    if clients > 1:
        for number in _some(range(jobs), _TWIN_SHARE, dice):
            plans[(number + 1) % clients].append(_twin(accepted[number], dice))
    for serial, number in enumerate(_some(range(jobs), _CONFLICT_SHARE, dice)):
        plans[number % clients].append(_conflict(accepted[number], serial, dice))
    for serial, number in enumerate(_some(range(jobs), _INVALID_SHARE, dice)):
        plans[number % clients].append(_invalid(accepted[number].at_s, serial))
    return [sorted(plan, key=lambda line: line.at_s) for plan in plans]


def _kinds(jobs: int, shares: Mapping[Kind, float], dice: random.Random) -> list[Kind]:
    special = [kind for kind, share in shares.items() for _ in range(_count(jobs, share))][:jobs]
    kinds = [*special, *[Kind.PLAIN] * (jobs - len(special))]
    dice.shuffle(kinds)
    return kinds


def _accepted(kinds: Sequence[Kind], until_s: float, dice: random.Random) -> list[Line]:
    """A line for each job; some plain ones ask what another one asks too."""
    lines = [_line(number, kind, until_s, dice) for number, kind in enumerate(kinds)]
    plain = [number for number, kind in enumerate(kinds) if kind is Kind.PLAIN]
    for number in _some(plain, _REPEATED_SHARE, dice):
        asked = lines[dice.choice(plain)]
        lines[number] = lines[number]._replace(prompt=asked.prompt, max_tokens=asked.max_tokens)
    return lines


def _line(number: int, kind: Kind, until_s: float, dice: random.Random) -> Line:
    tokens = dice.randint(*_TOKENS.get(kind, _PLAIN_TOKENS))
    words = [f"drill {number:06d} tokens={tokens}", *_LAST_WORDS.get(kind, ())]
    at_s = dice.uniform(0, until_s * (_POISONED if kind is Kind.POISON else 1))
    return _make(at_s, f"k-{number:06d}", " ".join(words), tokens, kind)


def _twin(line: Line, dice: random.Random) -> Line:
    at_s = max(0.0, line.at_s + dice.uniform(-_TWIN_S, _TWIN_S))
    return line._replace(at_s=round(at_s, 3), kind=Kind.TWIN)


def _conflict(line: Line, serial: int, dice: random.Random) -> Line:
    at_s = line.at_s + _CONFLICT_S * (1 + dice.random())
    tokens = dice.randint(*_PLAIN_TOKENS)
    prompt = f"drill conflict-{serial:06d} tokens={tokens}"
    return _make(at_s, line.key, prompt, tokens, Kind.CONFLICT)


def _invalid(at_s: float, serial: int) -> Line:
    prompt = f"drill invalid-{serial:06d} tokens=5"
    line = _make(at_s, f"invalid-{serial:06d}", prompt, 5, Kind.INVALID)
    return line._replace(sampling=dict(_INVALID))


def _make(at_s: float, key: str, prompt: str, max_tokens: int, kind: Kind) -> Line:
    return Line(round(at_s, 3), key, prompt, max_tokens, kind, {})


def _some(numbers: Sequence[int], share: float, dice: random.Random) -> Iterator[int]:
    """A part of them, without repetition."""
    if numbers:
        yield from dice.sample(numbers, min(len(numbers), _count(len(numbers), share)))


def _count(whole: int, share: float) -> int:
    """How many of so many are special: at least one, if any are to be."""
    return max(1, round(whole * share)) if share else 0
