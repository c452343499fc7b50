"""Vietnamese that was typed without its marks, or with the keys of an input method that was off."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+")
_MARKED: Final = re.compile(r"[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệịỉĩọỏốồổỗộớờởỡợụủũứừửữựỳỵỷỹ]")
_TYPED_BARE: Final = re.compile(
    r"\b(?:la gi|lam sao|the nao|khong|bao nhieu|cua|duoc|nhung|nguoi|cach|tai sao|vi sao|nao|thi"
    r"|cho toi|viet|giai thich|o dau|khi nao|cong thuc|thu tuc|nhu the|huong dan|sua loi)\b"
)
_ENGLISH: Final = re.compile(r"\b(?:the|what|how|is|are|of|a|to|for|and|do|does|in|my|which)\b")
_SYLLABLE: Final = re.compile(r"(?=[^\W\d_]{2,4}$)[a-z]*[àáèéìíòóùúýãõ]+[a-z]*")  # só, là, già
_KEYS: Final = {  # Telex: the key that adds a mark
    "\u0300": "f",
    "\u0301": "s",
    "\u0309": "r",
    "\u0303": "x",
    "\u0323": "j",
    "\u0302": None,  # the vowel again
    "\u0306": "w",
    "\u031b": "w",
}
_TONE_KEYS: Final = "fsrxj"


def is_vietnamese(text: str, beside: str = "") -> bool:
    """True for Vietnamese, typed with marks or without, ``beside`` a text that may be."""
    text, beside = text.lower(), beside.lower()
    if _MARKED.search(text) or _TYPED_BARE.search(text):
        return True
    if not _ENGLISH.search(text) and any(map(_SYLLABLE.fullmatch, _WORD.findall(text))):
        return True
    words = set(map(without_tones, _WORD.findall(text)))
    shared = words & set(map(without_tones, _WORD.findall(beside)))
    return bool(_MARKED.search(beside)) and 2 * len(shared) >= len(words)


def is_bare(text: str) -> bool:
    """True when no letter has a mark."""
    return without_tones(text) == text


def without_tones(text: str) -> str:
    """The letters without their marks."""
    parts = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))


def restored(bare: str, marked: str) -> str:
    """The bare text with the marks that its words have in the other; the rest stays bare."""
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for word in _WORD.findall(marked.lower()):
        forms[without_tones(word)].append(word)
    counts = Counter(_WORD.findall(bare.lower()))
    turns: dict[str, Iterator[str]] = {
        word: iter(known) for word, known in forms.items() if len(known) == counts[word]
    }

    def marked_form(match: re.Match[str]) -> str:
        word = match[0].lower()
        known = forms.get(word, [])
        if len(set(known)) == 1:
            return known[0]
        return next(turns[word], match[0]) if word in turns else match[0]

    return _WORD.sub(marked_form, bare)


@lru_cache(maxsize=20_000)
def typed(word: str) -> frozenset[str]:
    """How Telex would be typed for a word: the key of its tone after the vowel, or at the end."""
    plain, after, tone = "", "", ""
    for char in unicodedata.normalize("NFD", word.replace("đ", "dd")):
        if not unicodedata.combining(char):
            plain, after = plain + char, after + char
            continue
        key = _KEYS.get(char, "") or plain[-1:]
        after += key
        if key in _TONE_KEYS:
            tone = key
        else:
            plain += key
    return frozenset((plain + tone, after))
