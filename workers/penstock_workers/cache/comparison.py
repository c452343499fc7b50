"""Comparison: do two answers to one question say the same?

Equal texts do, but for case, blanks and the punctuation around words. Other numbers, yes against
no, a negation in one of them, or the same words in another order do not: to an encoder "it is
legal" and "it is not legal" are as near as two wordings (cosine 0.93), and so are "Romeo loves
Juliet" and "Juliet loves Romeo" (0.99). The rest is decided by how near their meanings are, and
without an encoder they differ: a doubt counts against the cache.
"""

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Final

_BEFORE_WORDS: Final = "\"'“”‘’«»¿¡*_`"  # the last three are emphasis in Markdown
_AFTER_WORDS: Final = _BEFORE_WORDS + ".,;:!?…"
_NUMBER: Final = re.compile(r"(?<![\w.,-])[-−]?\d+(?:[.,]\d+)*|\d+(?:[.,]\d+)*")
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_YES: Final = frozenset({"yes", "true", "correct", "có", "đúng", "vâng"})
_NO: Final = frozenset({"no", "false", "incorrect", "không", "sai"})
_NOT: Final = frozenset(
    {"not", "no", "never", "none", "nothing", "cannot", "without", "không", "chưa", "chẳng"}
)

Likeness = Callable[[str, str], float | None]


def agree(cached: str, generated: str, *, likeness: Likeness, least: float) -> bool:
    """True when both answers say the same.

    ``likeness`` gives the cosine of two texts, or None; ``least`` is the cosine from which on
    two wordings are one answer.
    """
    mine, theirs = _words(cached), _words(generated)
    if mine == theirs:
        return True
    if _numbers(cached) != _numbers(generated) or _contradict(mine, theirs):
        return False
    if sorted(mine) == sorted(theirs) or _denies(mine) != _denies(theirs):
        return False
    alike = likeness(cached, generated)
    return alike is not None and alike >= least


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFC", text).casefold().split()
    return [word for word in map(_bare, folded) if word]


def _bare(word: str) -> str:
    bare = word.rstrip(_AFTER_WORDS).lstrip(_BEFORE_WORDS)
    # "5!" is a factorial.
    return f"{bare}!" if bare[-1:].isdigit() and word.endswith("!") else bare


def _numbers(text: str) -> set[str]:
    return {_value(found) for found in _NUMBER.findall(_THOUSANDS.sub("", text))}


def _value(number: str) -> str:
    plain = number.replace("−", "-")
    if plain.count(".") + plain.count(",") > 1:  # a version, a date or an address
        return plain
    return format(Decimal(plain.replace(",", ".")).normalize(), "f")


def _denies(words: list[str]) -> bool:
    return any(word in _NOT or word.endswith(("n't", "n’t")) for word in words)


def _contradict(mine: list[str], theirs: list[str]) -> bool:
    """True when one begins with yes and the other with no."""
    first, other = mine[:1], theirs[:1]
    return any(
        _YES.issuperset(one) and _NO.issuperset(two) and bool(one) and bool(two)
        for one, two in ((first, other), (other, first))
    )
