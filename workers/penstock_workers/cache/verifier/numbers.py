"""Numbers: 1,000 and one thousand, 3 pm and 15:00, the 2nd and the second."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from penstock_workers.cache.verifier.lexicon import Lexicon

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_MONTH: Final = (
    "january|february|march|april|june|july|august|september|october|november|december"
    "|sept|" + "|".join(_MONTHS)
)
_DAY: Final = r"([0-3]?\d)(?:st|nd|rd|th)?"
_DAY_FIRST: Final = re.compile(rf"\b{_DAY} (?:of )?({_MONTH})\b\.?,?")
_MONTH_FIRST: Final = re.compile(rf"\b({_MONTH})\.? {_DAY}\b(?!:),?")
_POINT: Final = re.compile(r"(?<![\w.])\.(?=\d)")
_CLOCK: Final = re.compile(r"\b(\d{1,2})(?:[:.](\d\d))?\s?([ap])\.?m\b\.?")
_GROUPED_EN: Final = re.compile(r"\b\d{1,3}(,\d{3})+\b(?!,?\d)")
_GROUPED_VI: Final = re.compile(r"\b\d{1,3}(\.\d{3})+\b(?![.]?\d)")
_THOUSANDS: Final = re.compile(r"(?<=\d)k\b")
_PERCENT: Final = re.compile(r"(?<=\d)\s?(?:%|percent\b|per cent\b|phần trăm\b|phan tram\b)")
_MONEY: Final = re.compile(r"([$€£¥₫])\s?(\d[\d.,]*\d|\d)")
_ATTACHED: Final = re.compile(
    r"\b(\d+(?:\.\d+)?)-?(kg|km|cm|mm|ml|gb|mb|tb|kb|mph|hz|year|day|week)"
)
_TEN: Final = 10
_HUNDRED: Final = 100
_ROMAN: Final = {"ii": 2, "iii": 3, "iv": 4, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "xi": 11}
_ORDINAL: Final = re.compile(r"(\d+)(?:st|nd|rd|th)")


def in_digits(text: str, lexicon: Lexicon) -> str:
    """Dates, times, percentages, sums and grouped numbers of a text in lower case, written once."""
    text = _POINT.sub("0.", text)
    text = _DAY_FIRST.sub(lambda m: _date(m[1], m[2]), text)
    text = _MONTH_FIRST.sub(lambda m: _date(m[2], m[1]), text)
    text = _CLOCK.sub(_hour, text)
    grouped = _GROUPED_VI if lexicon.language == "vi" else _GROUPED_EN
    text = grouped.sub(lambda m: re.sub(r"[.,]", "", m[0]), text)
    if lexicon.language == "vi":
        text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    text = _THOUSANDS.sub("000", text)
    text = _PERCENT.sub(" %", text)
    text = _ATTACHED.sub(r"\1 \2", text)
    return _MONEY.sub(r"\2 \1", text)


def counted(words: Sequence[str], lexicon: Lexicon) -> Iterator[str]:
    """Words with the numbers among them in digits: twenty five becomes 25, second becomes 2nd."""
    place = 0
    while place < len(words):
        length, value = _number_at(words, place, lexicon)
        word = words[place]
        if length:
            yield str(value)
            place += length
            continue
        ordinal = _ORDINAL.fullmatch(word)
        if word in lexicon.ordinals or ordinal:
            yield f"{ordinal[1] if ordinal else lexicon.ordinals[word]}th"
        else:
            is_syllable = lexicon.language == "vi" and word == "vi"
            yield word if is_syllable else str(_ROMAN.get(word, word))
        place += 1


def _number_at(words: Sequence[str], place: int, lexicon: Lexicon) -> tuple[int, int]:
    """How many words from here are one number, and which; a length of 0 for none."""
    total = group = digit = length = 0
    for word in words[place:]:
        if word in lexicon.digits:
            if digit:
                break
            digit = lexicon.digits[word]
            group, digit = (group, digit) if digit < _TEN else (group + digit, 0)
        elif word in lexicon.tens:
            group += lexicon.tens[word] * (digit if lexicon.language == "vi" else 1)
            digit = 0
        elif word in lexicon.multipliers and (length or word.isalpha()):
            if not length:
                break
            size = lexicon.multipliers[word]
            if size == _HUNDRED:
                group, digit = group + (digit or 1) * size, 0
            else:
                total, group, digit = total + (group + digit) * size, 0, 0
        else:
            break
        length += 1
    return length, total + group + digit


def _date(day: str, month: str) -> str:
    return f" {_MONTHS.index(month[:3]) + 1:02}-{int(day):02} "


def _hour(match: re.Match[str]) -> str:
    hour = int(match[1]) % 12 + (12 if match[3] == "p" else 0)
    return f"{hour}:{match[2] or '00'}"
