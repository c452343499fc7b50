"""The verdict on two questions, with the sentence that explains it.

In three steps: a proof (the same words), else a reading of both in which known wordings have one
name, ornament is gone and phrases may change places, and in every other case a refusal that names
what differs. Nothing is judged by how alike two questions look.
"""

import re
import unicodedata
from collections import Counter
from typing import Final, NamedTuple

from penstock_workers.cache.verifier import plain
from penstock_workers.cache.verifier.lexicon import Lexicon, lexicon_of
from penstock_workers.cache.verifier.matching import are_same
from penstock_workers.cache.verifier.reading import Reading, read
from penstock_workers.cache.verifier.slips import without_slips
from penstock_workers.cache.verifier.tones import is_bare, is_vietnamese, restored

_SENTENCE: Final = re.compile(r"(?<=[.!?…])\s+|\n+")
_LONG: Final = 200
_TOO_LONG: Final = 2_000
_UNASKED: Final = frozenset(("@what",))


class Verdict(NamedTuple):
    """The decision and why; ``proof`` when both are the same words, and not only the same sense."""

    same: bool
    reason: str
    proof: bool = False


def verify(asked: str, stored: str) -> Verdict:
    """Decide whether the stored question's answer is an answer to the question asked."""
    asked, stored = (unicodedata.normalize("NFC", text).strip() for text in (asked, stored))
    if plain.is_same(asked, stored):
        reason = "same words but for politeness, case or punctuation"
        return Verdict(same=True, reason=reason, proof=True)
    mine, theirs = _without_shared_sentences(asked, stored)
    if max(len(mine), len(theirs)) > _TOO_LONG:
        return Verdict(same=False, reason="too long to be read, and not the same words")
    speaks = [is_vietnamese(mine, beside=theirs), is_vietnamese(theirs, beside=mine)]
    if speaks[0] != speaks[1]:
        return Verdict(same=False, reason="they are in two languages")
    language = "vi" if speaks[0] else "en"
    bare = [speaks[0] and is_bare(text) for text in (mine, theirs)]
    if bare[0] and not bare[1]:
        mine = restored(_plainly_polite(mine), theirs)
    if bare[1] and not bare[0]:
        theirs = restored(_plainly_polite(theirs), mine)
    toneless = all(bare)
    mine, theirs = without_slips(mine, theirs, language), without_slips(theirs, mine, language)
    return _compared(
        read(mine, language, toneless=toneless),
        read(theirs, language, toneless=toneless),
        lexicon_of(language, toneless=toneless),
    )


def _plainly_polite(text: str) -> str:
    text = " ".join(text.lower().split())
    for pattern, less in lexicon_of("vi", toneless=True).polite:
        text = pattern.sub(less, text)
    return text


def _compared(mine: Reading, theirs: Reading, words: Lexicon) -> Verdict:
    kinds = (mine.kinds ^ theirs.kinds) - _UNASKED
    if kinds:
        names = ", ".join(sorted(kind[1:] for kind in kinds))
        return Verdict(same=False, reason=f"another kind of answer: {names}")
    if not mine.words or not theirs.words:
        return Verdict(same=False, reason="nothing is left to compare")
    is_topic = mine.kinds <= _UNASKED
    if are_same(mine.phrases, theirs.phrases, words, is_topic=is_topic):
        return Verdict(same=True, reason="the same phrases in other words")
    return Verdict(same=False, reason=_difference(mine, theirs, words))


def _difference(mine: Reading, theirs: Reading, words: Lexicon) -> str:
    """The first thing that differs, and what kind of thing it is."""
    one, other = (Counter(w for w in r.words if w[0] != "@") for r in (mine, theirs))
    left, right = list((one - other).elements()), list((other - one).elements())
    if not left and not right:
        return "the order of words differs"
    differing = [*left, *right]
    text = ", ".join(word[:40] for word in differing[:4])
    if any(word in words.negations for word in differing):
        return f"one of them denies: {text}"
    if any(words.opposites.get(word) in right for word in left):
        return f"opposites: {text}"
    if any(char.isdigit() for word in differing for char in word):
        return f"another number, date or name: {text}"
    return f"differ in {text}"


def _without_shared_sentences(asked: str, stored: str) -> tuple[str, str]:
    """What is left of long texts without the sentences that both have, in the same order."""
    if min(len(asked), len(stored)) < _LONG:
        return asked, stored
    mine, theirs = (_SENTENCE.split(text) for text in (asked, stored))
    shared = Counter(mine) & Counter(theirs)
    common = [[s for s in sentences if shared[s]] for sentences in (mine, theirs)]
    kept = [" ".join(s for s in sentences if not shared[s]) for sentences in (mine, theirs)]
    if common[0] != common[1] or not all(kept):
        return asked, stored
    return kept[0], kept[1]
