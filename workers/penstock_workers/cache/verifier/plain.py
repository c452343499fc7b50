"""The proof: the same words in the same order.

Politeness, "the", contractions and the punctuation of sentences are set aside. Numbers, names,
negation and direction are words, so none of them can be lost; what is quoted or stands behind a
colon is material, where every character counts.
"""

import re
import unicodedata
from typing import Final

from penstock_workers.cache.verifier.tones import is_vietnamese

_FLAGS: Final = re.IGNORECASE
_CODE: Final = re.compile(r"```|`[^`]+`|\n\s{2,}\S|[{}]")
_MATERIAL: Final = re.compile(
    r"(\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\w)'[^']*'(?!\w)|(?<!\w)‘[^’]*’(?!\w)|(?<=:)\s.*)", re.DOTALL
)
_CONTRACTIONS: Final = tuple(
    (re.compile(pattern, _FLAGS), plain)
    for pattern, plain in (
        (r"\bcan['’]?t\b", "can not"),
        (r"\bcannot\b", "can not"),
        (r"\bwon['’]t\b", "will not"),
        (r"n['’]t\b", " not"),
        (r"\b(what|who|where|when|how|that|there|it|he|she)['’]s\b", r"\1 is"),
        (r"['’]re\b", " are"),
        (r"['’]ve\b", " have"),
        (r"['’]ll\b", " will"),
        (r"\bi['’]m\b", "i am"),
    )
)
# A greeting needs its comma, or it may be a name: Hey Jude, Hello Kitty.
_POLITE_START: Final = re.compile(
    r"^((hi|hello|hey)[,!.]\s+|(please|kindly),?\s+(?!please)(?=\S+\s+\S)"
    r"|(can|could|would|will) you (please )?(?=(tell|translate|write|summari[sz]e|explain|give)\b)"
    r"|tell me:?\s+|quick question:\s+"
    r"|do you know:?\s+(?=(what|who|where|when|why|which|whose|how (?!to\b))\b)"
    r"|(xin )?(vui lòng|làm ơn)[,.]?\s+|(xin )?(hãy )?cho (tôi |mình |em )?(biết|hỏi):?\s+"
    r"|xin (?=(dịch|viết|tóm|cho|kể|đọc)\b)|hãy\s+)",
    _FLAGS,
)
# Without a comma they may be what is asked about: how do you say thank you?
_POLITE_END: Final = re.compile(
    r"([,.!?]\s*(please|pls|thanks|thank you)|(?<!từ)(?<!chữ)(?<!nói)(?<!là)\s+(ạ|nhé))\s*[.!?]*$",
    _FLAGS,
)
_OUTER: Final = ",.?;:…"
_NUMBER: Final = re.compile(r"[.,]\d")
_WORD: Final = re.compile(r"[^\W\d_]+(['’-][^\W\d_]+)*")


def is_same(asked: str, stored: str) -> bool:
    """True when the two are the same words in the same order, and neither holds code."""
    if _CODE.search(asked) or _CODE.search(stored):
        return False
    mine = words_of(asked)
    return bool(mine) and mine == words_of(stored)


def words_of(question: str) -> list[str]:
    """The words that carry the meaning of a question, in order; quoted material is one word."""
    text = _POLITE_END.sub("", unicodedata.normalize("NFC", question).strip())
    for _ in range(3):
        text = _POLITE_START.sub("", text)
    words: list[str] = []
    for place, part in enumerate(_MATERIAL.split(text)):
        if place % 2:
            words.append(part.strip())
        else:
            words.extend(_words_of_instruction(part, is_start=place == 0))
    return words


def _words_of_instruction(text: str, *, is_start: bool) -> list[str]:
    for pattern, plain in _CONTRACTIONS:
        text = pattern.sub(plain, text)
    bare = [word for word in map(_bare, text.split()) if word]
    words = [_folded(word, is_first=is_start and place == 0) for place, word in enumerate(bare)]
    if is_vietnamese(text):  # typed without marks, "the" is thẻ, thế or thể
        return words
    return ["a" if word == "an" else word for word in words if word != "the"]


def _bare(word: str) -> str:
    word = word.rstrip(_OUTER) if _NUMBER.match(word) else word.strip(_OUTER)
    # "5!" is a factorial, "Hi!" is not.
    return word if word[-2:-1].isdigit() else word.rstrip("!").rstrip(_OUTER)


def _folded(word: str, *, is_first: bool) -> str:
    """In lower case, unless its case may carry meaning: IT, US, vitamin A, print(A)."""
    if not _WORD.fullmatch(word):
        return word
    is_plain = len(word) == 1 and (is_first or word == "I")
    return word if word.isupper() and not is_plain else word.lower()
