"""Phrases: words that stay together. Phrases may change places, words within them may not.

"From A to B" is two phrases, each with its marker; "A beats B" is one, in its order.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from penstock_workers.cache.verifier.lexicon import Lexicon

PAUSES: Final = frozenset(",;:.?!()\n—–")
Words = tuple[str, ...]


class Phrase(NamedTuple):
    """``marker`` says how it belongs to the rest; ``parts`` are several where "and" joins them."""

    marker: str
    parts: tuple[Words, ...]


def phrases_of(words: Sequence[str], lexicon: Lexicon) -> tuple[Phrase, ...]:
    """Split where a marker or a pause stands. What has no marker is one phrase, and the last."""
    marked: list[Phrase] = []
    plain: list[str] = []
    later = ""
    for marker, several in _joined(_possessed(_split(words, lexicon)), lexicon):
        parts = [_denied_last(part, lexicon) for part in several]
        if marker in lexicon.sequence:
            later += f"{marker} "
        if marker or later:
            marked.append(Phrase(f"{later}{marker}", tuple(sorted(parts))))
        else:
            plain.extend(word for part in parts for word in part)
    return (*sorted(marked), Phrase("", (tuple(plain),)))


def _denied_last(words: Words, lexicon: Lexicon) -> Words:
    """Where "not" stands within a phrase says nothing in English: does not it, does it not."""
    if lexicon.language != "en":
        return words
    return tuple(sorted(words, key=lexicon.negations.__contains__))


def _split(words: Sequence[str], lexicon: Lexicon) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = [("", [])]
    aside: list[tuple[str, list[str]]] = []
    for word in words:
        if word in PAUSES:
            found.append(("", []))
        elif word in lexicon.free:
            aside.append((word, []))
        elif word in lexicon.markers or word in lexicon.joiners:
            found.append((word, []))
        else:
            found[-1][1].append(word)
    return [(marker, content) for marker, content in [*found, *aside] if marker or content]


def _possessed(found: Sequence[tuple[str, list[str]]]) -> Iterator[tuple[str, Words]]:
    """France 's capital is capital of France."""
    for marker, words in found:
        if "'s" in words[1:]:
            place = words.index("'s", 1)
            yield marker, tuple(words[place + 1 :])
            yield "of", tuple(words[:place])
        else:
            yield marker, tuple(word for word in words if word != "'s")


def _joined(
    found: Iterator[tuple[str, Words]], lexicon: Lexicon
) -> Iterator[tuple[str, tuple[Words, ...]]]:
    """Tea or coffee is coffee or tea: what "and" joins has as many words on both sides."""
    waiting: list[tuple[str, Words]] = []
    for marker, words in found:
        before = waiting[-1][1] if waiting else ()
        if marker in lexicon.joiners and words and len(before) >= len(words):
            rest, other = before[: -len(words)], before[-len(words) :]
            first_marker, _ = waiting.pop()
            for earlier, content in waiting:
                yield earlier, (content,)
            waiting.clear()
            if rest:
                yield first_marker, (rest,)
                first_marker = ""
            yield f"{first_marker} {marker}", (other, words)
        else:
            waiting.append((marker, words))
    for marker, words in waiting:
        yield marker, (words,)
