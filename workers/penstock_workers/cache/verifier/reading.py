"""A reading of a question: what kind of answer it asks for, and its phrases without ornament."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from penstock_workers.cache.verifier import literals, numbers
from penstock_workers.cache.verifier.lexicon import Lexicon, lexicon_of
from penstock_workers.cache.verifier.phrases import PAUSES, Phrase, phrases_of
from penstock_workers.cache.verifier.words import base_of, is_past

_TOKEN: Final = re.compile(
    r"[\ue000-\uf8ff]|@\w+|'s\b|[%$€£¥₫°]|\d+!"
    r"|\w+(?:['.\-/_:&~^*=<>+]+\w+)*(?:\+\+|#)?|[+\-−*/=<>^~×÷]+|[,;:.?!()\n—–]"
)
_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])|(?<=\d)-(?=[^\W\d_]{3})")
_CAPITALS: Final = re.compile(  # what is another word in lower case
    r"\b(?:US|IT|WHO|AM|IN|OR|ALL|CAN|MAY|AIDS|AI)\b|(?<![^\W\d])(?:MB|GB|TB|KB)\b"
)
_LETTERS: Final = re.compile(r"(?<=\s)[B-HJ-Z]\b|(?<=[^.?!:\s]\s)A\b")  # vitamin A
_FRONTED: Final = re.compile(r"\s*(\w+)\b([^,.?!:\n]*),\s+([^,\n]+?)([.?!\s]*)")
_PAST: Final = frozenset(("was", "were", "did", "had"))
_SUBJECTS: Final = frozenset(("@who", "who", "which", "what", "@what"))
_QUOTES: Final = str.maketrans("’‘“”", "''\"\"")


class Reading(NamedTuple):
    """``kinds`` of answers asked for, the phrases in any order, and all words in theirs."""

    kinds: frozenset[str]
    phrases: tuple[Phrase, ...]
    words: tuple[str, ...]


@lru_cache(maxsize=20_000)
def read(text: str, language: str, *, toneless: bool = False) -> Reading:
    """Read a question in ``en`` or ``vi``."""
    lexicon = lexicon_of(language, toneless=toneless)
    text, taken = literals.take_literals(text.translate(_QUOTES), lexicon)
    if language == "en" and not text.isupper():
        text = _LETTERS.sub(lambda m: f"{m[0]}_caps", text)
    if not text.isupper():
        text = _CAPITALS.sub(lambda m: f"{m[0]}_caps", text)
    text = numbers.in_digits(text.lower(), lexicon)
    for pattern, plain in lexicon.ornaments:
        text = pattern.sub(plain, text)
    text = _in_order(text, lexicon)
    for pattern, plain in lexicon.frames:
        text = pattern.sub(plain, text)
    text = _HYPHEN.sub(" ", text).replace("'s", " 's")
    tokens = _TOKEN.findall(text)
    is_exact = not taken and bool(lexicon.exact.search(text))
    words = list(_common(tokens, lexicon, is_exact=is_exact))
    kinds = frozenset(word for word in words if word[0] == "@") | _tense(tokens, lexicon)
    named = [
        f'"{taken[ord(w) - literals.FIRST]}"' if "\ue000" <= w[0] <= "\uf8ff" else w for w in words
    ]
    phrases = phrases_of([w for w in named if w[:1] != "@"], lexicon)
    return Reading(kinds, phrases, tuple(w for w in named if w not in PAUSES))


def _in_order(text: str, lexicon: Lexicon) -> str:
    """During pregnancy, may I swim? May I swim during pregnancy?"""
    fronted = _FRONTED.fullmatch(text)
    if fronted is None or fronted[1] not in lexicon.markers:
        return text
    return f"{fronted[3]} {fronted[1]}{fronted[2]}{fronted[4]}"


def _tense(tokens: Sequence[str], lexicon: Lexicon) -> frozenset[str]:
    """Whether it is about the past: who was, did they, who coached. Participles say nothing."""
    for before, token in zip(("", *tokens), tokens, strict=False):
        if token in _PAST or (before in _SUBJECTS and is_past(token, lexicon.language)):
            return frozenset(("@past",))
    return frozenset()


def _common(tokens: Sequence[str], lexicon: Lexicon, *, is_exact: bool) -> Iterator[str]:
    """Each known wording by its common name, the rest in base form, and no ornament."""
    counted = list(numbers.counted(tokens, lexicon))
    if is_exact:
        yield from counted
        return
    counted = [word for word in counted if word not in lexicon.articles]
    bases = [w if w in lexicon.markers else base_of(w, lexicon.language) for w in counted]
    named = list(_named(bases, lexicon))
    wordings: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for name, wording in named:
        wordings[name].add(wording)
    for name, wording in named:
        if len(wordings[name]) > 1:  # two wordings of it in one question: it is about them
            yield "_".join(wording)
        elif not {name, *(wording if len(wording) == 1 else ())} & lexicon.dropped:
            yield name


def _named(bases: Sequence[str], lexicon: Lexicon) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each word or known wording with its common name, the longest wordings first."""
    place = 0
    while place < len(bases):
        for length in range(min(lexicon.longest, len(bases) - place), 0, -1):
            wording = tuple(bases[place : place + length])
            if wording in lexicon.phrases:
                break
        yield lexicon.phrases.get(wording, wording[0]), wording
        place += len(wording)
