"""What stands in a question to be worked on: quoted text, code, what follows a colon.

There every character counts, so that it is taken out before words are compared.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from penstock_workers.cache.verifier.lexicon import Lexicon

FIRST: Final = 0xE000  # private characters stand for what was taken out
_FENCED: Final = re.compile(r"```.*?```|`[^`]+`|\w+\([^()\n]*\)", re.DOTALL)
_CODE_LINE: Final = re.compile(
    r"^.*(?:[{};]\s*$|=>|->|==|!=|:=|\w\(\)|^\s*(?:def|for|while|if|return|import|print)\b.*[:(=])"
    r".*$|^(?:\s{2,}|\t)\S.*$",
    re.MULTILINE,
)
_QUOTED: Final = re.compile(
    r"\"([^\"]*)\"|“([^”]*)”|«([^»]*)»|(?<!\w)'([^']*)'(?!\w)|(?<!\w)‘([^’]*)’(?!\w)"
)
_AFTER_COLON: Final = re.compile(r"(?<=:)\s+\S.*", re.DOTALL)
_HELD: Final = re.compile("[\ue000-\uf8ff]")
_ONE_WORD: Final = re.compile(r"[^\W\d_]+")


class Taken(NamedTuple):
    """A question with placeholders in it, and what they stand for."""

    text: str
    literals: list[str]


def take_literals(text: str, lexicon: Lexicon) -> Taken:
    """Take out code, quoted text, and what an instruction such as "translate:" is applied to."""
    literals: list[str] = []

    def hold(literal: str) -> str:
        literals.append(_HELD.sub(lambda m: literals[ord(m[0]) - FIRST], literal))
        return f" {chr(FIRST + len(literals) - 1)} "

    text = _FENCED.sub(lambda m: hold(m[0].strip("`").strip()), text)
    text = _CODE_LINE.sub(lambda m: hold(m[0].rstrip()), text)
    text = _QUOTED.sub(lambda m: _quoted(next(g for g in m.groups() if g is not None), hold), text)
    head, colon, _ = text.partition(":")
    if colon and lexicon.literal.search(head.lower()):
        text = _AFTER_COLON.sub(lambda m: hold(" ".join(m[0].split())), text, count=1)
    return Taken(text, literals)


def _quoted(inner: str, hold: Callable[[str], str]) -> str:
    # One quoted word is that word: the term 'escrow', the term escrow.
    return f" {inner} " if _ONE_WORD.fullmatch(inner.strip()) else hold(" ".join(inner.split()))
