"""Slips of the keyboard: one question's misspelt words, corrected by what the other says."""

import re
from typing import Final

from penstock_workers.cache.verifier.lexicon import lexicon_of
from penstock_workers.cache.verifier.words import is_slip

_WORD: Final = re.compile(r"[^\W\d_]+")
_HYPHENATED: Final = re.compile(r"\b([^\W\d_]+)-([^\W\d_]+)\b")
_CODE: Final = frozenset("_()=[]{}/\\@#<>$&*+")
_LONG_NAME: Final = 6


def without_slips(text: str, other: str, language: str) -> str:
    """The text with what is misspelt in it written as in the other."""
    vocabulary = lexicon_of(language).vocabulary
    wanted = {word.lower(): word for word in _WORD.findall(other)}
    text = _HYPHENATED.sub(lambda m: wanted.get(f"{m[1]}{m[2]}".lower(), m[0]), text)
    present = {word.lower() for word in _WORD.findall(text)}

    def right(match: re.Match[str]) -> str:
        word = match[0].lower()
        if word in wanted or match[0][1:] != word[1:] or _is_code(text, match):
            return match[0]
        slips = [
            wanted[w]
            for w in wanted.keys() - present
            if is_slip(word, w, language, vocabulary)
            and not (language == "en" and match.start() and _may_be_names(match[0], wanted[w]))
        ]
        return slips[0] if len(slips) == 1 else match[0]

    return _WORD.sub(right, text)


def _is_code(text: str, match: re.Match[str]) -> bool:
    beside = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    return bool(_CODE & {*beside})


def _may_be_names(one: str, other: str) -> bool:
    """Daniel and Daniela; but Byzantine is Bizantine."""
    are_capital = one[0].isupper() and other[0].isupper()
    return are_capital and (len(one) < _LONG_NAME or one[:1] + one[-2:] != other[:1] + other[-2:])
