"""Matching: whether two questions are made of the same phrases."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from penstock_workers.cache.verifier.lexicon import Lexicon
from penstock_workers.cache.verifier.phrases import Phrase, Words

_TWO_PLAIN: Final = 2


def are_same(
    mine: Sequence[Phrase], theirs: Sequence[Phrase], lexicon: Lexicon, *, is_topic: bool
) -> bool:
    """True for the same phrases, in any order of the marked ones.

    A phrase of one that a soft marker begins may stand unmarked in the other: trails for
    beginners are beginner trails. Its words stay together, and the others keep their order. At the
    end it may stand only where a topic is asked for (weather Oslo), for a verb would make it its
    object: write in a book.
    """
    *marked, plain = mine
    *others, other = theirs
    left, right = Counter(marked), Counter(others)
    more, fewer = list((left - right).elements()), list((right - left).elements())
    if more and fewer:
        return _differ_in_ends(more, fewer, plain, other)
    if fewer:
        more, plain, other = fewer, other, plain
    return _absorbs(other, [plain, *more], lexicon, at_end=is_topic)


def _absorbs(whole: Phrase, parts: Sequence[Phrase], lexicon: Lexicon, *, at_end: bool) -> bool:
    """True when ``whole`` is the first of the parts with the others put in somewhere."""
    plain, *marked = parts
    if any(part.marker not in lexicon.soft or len(part.parts) > 1 for part in marked):
        return False
    rest: Words | None = whole.parts[0]
    for part in sorted(marked, key=lambda part: -len(part.parts[0])):
        rest = _without(rest, part.parts[0], at_end=at_end) if rest is not None else None
    return rest == plain.parts[0] and not (marked and lexicon.containers & {*plain.parts[0]})


def _differ_in_ends(
    more: Sequence[Phrase], fewer: Sequence[Phrase], plain: Phrase, other: Phrase
) -> bool:
    """In Excel sort a column; sort a column in Excel: nothing tells where the first phrase ends."""
    if len(more) != 1 or len(fewer) != 1:
        return False
    (longer, rest), (shorter, whole) = (more[0], plain), (fewer[0], other)
    if len(longer.parts[0]) < len(shorter.parts[0]):
        (longer, rest), (shorter, whole) = (shorter, whole), (longer, rest)
    content, start = longer.parts[0], shorter.parts[0]
    if longer.marker != shorter.marker or len(longer.parts) + len(shorter.parts) > _TWO_PLAIN:
        return False
    tail = content[len(start) :]
    is_start = bool(start) and content[: len(start)] == start
    return is_start and whole.parts[0] in (tail + rest.parts[0], rest.parts[0] + tail)


def _without(words: Words, block: Words, *, at_end: bool) -> Words | None:
    for place in range(len(words) - len(block) + at_end):
        if words[place : place + len(block)] == block:
            return words[:place] + words[place + len(block) :]
    return None
