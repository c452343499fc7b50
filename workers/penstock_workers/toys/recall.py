"""Drills for looking things up: keys and their values, told over and over in changing order.

Documents alone did not teach it: a toy soon answers with any code of the document and stays there,
for no small change makes it better. With few keys, short values and many repetitions it learns to
match them within some hundred steps, and longer documents then build on that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tokenizers import Tokenizer

from penstock_workers.toys.documents import KEYS, tell_code
from penstock_workers.toys.packing import Encoded
from penstock_workers.toys.short_tasks import draw_language
from penstock_workers.toys.tokenizer import USER_ID

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Level:
    """From `start` (share of the training) on: that many keys to draw from, that long values.

    A drill comes in a `share` of the steps and tells `told` keys, a share of them in sentences.
    """

    start: float
    keys: int
    digits: tuple[int, int]
    told: tuple[int, int] = (4, 6)
    phrased: float = 0.0
    share: float = 1.0


LEVELS = (
    Level(0.0, 6, (1, 1)),
    Level(0.13, 12, (1, 1)),
    Level(0.16, len(KEYS), (1, 1)),
    Level(0.19, len(KEYS), (1, 4), (3, 8)),
    Level(0.26, len(KEYS), (4, 4), (2, 12), 0.8),
    Level(0.4, len(KEYS), (1, 4), (2, 12), 0.8, 0.15),
)


def level_at(levels: Sequence[Level], progress: float) -> Level | None:
    """The level that a training is at, if it has any."""
    return next((level for level in reversed(levels) if level.start <= progress), None)


def drill(rng: Random, tokenizer: Tokenizer, level: Level) -> Encoded:
    """One drill; learned are the values from the second round on."""
    keys = rng.sample(KEYS[: level.keys], rng.randint(*level.told))
    digits = rng.randint(*level.digits)
    values = {key: "".join(rng.choices("0123456789", k=digits)) for key in keys}
    language = draw_language(rng)
    phrased = rng.random() < level.phrased
    ids, learned = [USER_ID], [False]
    for number in range(ROUNDS):
        rng.shuffle(keys)
        told = [
            f" {tell_code(language, key, values[key])}" if phrased else f" {key}{values[key]}"
            for key in keys
        ]
        for part in tokenizer.encode_batch(told, add_special_tokens=False):
            ids += part.ids
            learned += _digits(part.tokens) if number else [False] * len(part.ids)
    return ids, learned


def _digits(tokens: Sequence[str]) -> list[bool]:
    return [token.isdigit() for token in tokens]
