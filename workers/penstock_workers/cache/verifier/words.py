"""Words: their base form, and whether one is a slip of the keyboard for another."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import simplemma
from rapidfuzz.distance import OSA

from penstock_workers.cache.verifier.tones import typed

_SHORTEST: Final = 3
_KEPT: Final = re.compile(r"(?:er|est|better|best|worse|worst|more|most|less|least|data|left)$")
_SHORTEST_SLIP: Final = 4
_LONG: Final = 8
# Vietnamese syllables: onset, rime (with its glide) and final, after tones are taken off.
_ONSETS: Final = "ngh|ng|nh|ch|gh|gi|kh|ph|qu|th|tr|b|c|d|đ|g|h|k|l|m|n|p|r|s|t|v|x|"
_RIMES: Final = (
    "uyê|iêu|yêu|uôi|ươi|ươu|oai|oay|oeo|uây|uya|uyu|oao|"
    "iê|yê|uô|ươ|oa|oă|oe|uê|uy|uâ|ai|ao|au|ay|âu|ây|eo|êu|ia|iu|oi|ôi|ơi|ua|ui|ưa|ưi|ưu|"
    "a|ă|â|e|ê|i|o|ô|ơ|u|ư|y"
)
_SYLLABLE: Final = re.compile(rf"(?:{_ONSETS})(?:{_RIMES})(?:ch|ng|nh|c|m|n|p|t)?")
_TONE_MARKS: Final = "\u0300\u0301\u0309\u0303\u0323"
_TONES: Final = str.maketrans(
    "àáảãạằắẳẵặầấẩẫậèéẻẽẹềếểễệìíỉĩịòóỏõọồốổỗộờớởỡợùúủũụừứửữựỳýỷỹỵ",
    "aaaaaăăăăăâââââeeeeeêêêêêiiiiioooooôôôôôơơơơơuuuuuưưưưưyyyyy",
)


@lru_cache(maxsize=50_000)
def base_of(word: str, language: str) -> str:
    """The form under which a word is compared: without plural, person, or progressive."""
    if language != "en" or not word.isalpha() or len(word) < _SHORTEST or _KEPT.search(word):
        return word
    lemma = str(simplemma.lemmatize(word, lang="en")).lower()
    if lemma[-2:-1] == lemma[-1:] and not _is_english(lemma) and _is_english(lemma[:-1]):
        lemma = lemma[:-1]  # cancelling
    return lemma


def is_past(word: str, language: str) -> bool:
    """True for a verb that is not in its base form, nor in one that ends with -s or -ing."""
    if language != "en" or word.endswith(("s", "ing")):
        return False
    return base_of(word, language) != word


def is_slip(wrong: str, right: str, language: str, vocabulary: frozenset[str]) -> bool:
    """True when ``wrong`` is no word, and ``right`` is one that is a letter away from it.

    Words of the ``vocabulary`` are words.
    """
    shorter = min(len(wrong), len(right))
    if shorter < _SHORTEST_SLIP - (language == "vi") or not (wrong + right).isalpha():
        return False
    if language == "vi" and _marks_of(wrong) == _marks_of(right):
        return True  # the tone at another of its vowels
    if wrong in vocabulary or is_known(wrong, language):
        return False
    if right not in vocabulary and (not is_known(right, language) or _is_name(right)):
        return False
    limit = 2 if shorter >= _LONG else 1
    if language == "vi" and typed(wrong) & typed(right):
        return True
    spellings = {right, *typed(right)} if language == "vi" else {right}
    return min(OSA.distance(wrong, s) for s in spellings) <= limit


def _marks_of(word: str) -> tuple[str, list[str]]:
    tones = [c for c in unicodedata.normalize("NFD", word) if c in _TONE_MARKS]
    return word.translate(_TONES), tones


@lru_cache(maxsize=50_000)
def is_known(word: str, language: str) -> bool:
    """True for a word that exists in the language (in Vietnamese: a syllable that could)."""
    if language == "vi":
        return bool(_SYLLABLE.fullmatch(word.translate(_TONES))) or _is_english(word)
    return _is_english(word)


@lru_cache(maxsize=50_000)
def _is_name(word: str) -> bool:
    """Granada and Grenada: names that are a letter apart are two names."""
    return str(simplemma.lemmatize(word, lang="en"))[:1].isupper()


def _is_english(word: str) -> bool:
    return bool(simplemma.is_known(word, lang="en"))
