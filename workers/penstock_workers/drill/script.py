"""The script of the drill: what a prompt asks for, and what its answer has to be.

A prompt reads ``drill 000123 tokens=40``, and may end in ``poison`` or ``refused``. Its answer is a
function of the prompt alone, so that whoever reads a result can tell whether it is the right one.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

TIER: Final = "drill"
POISON: Final = "poison"
REFUSED: Final = "refused"
_LENGTH: Final = re.compile(r"\btokens=(\d+)\b")
_BYTES: Final = 256  # token ids below are bytes of a prompt, the others are words of an answer
_DIGITS: Final = 4  # of a word, which is a hexadecimal number


def tokens_of(prompt: str) -> int:
    """How many tokens the answer has. Raises ValueError when this is no prompt of the drill."""
    found = _LENGTH.search(prompt)
    if found is None:
        raise ValueError("a prompt of the drill says how long its answer is: tokens=40")
    return int(found[1])


def is_poison(prompt: str) -> bool:
    """True when this prompt kills the engine that answers it."""
    return POISON in prompt.split()


def is_refused(prompt: str) -> bool:
    """True when the engine refuses this prompt."""
    return REFUSED in prompt.split()


def answer_ids(prompt: str) -> tuple[int, ...]:
    """Token ids of the answer, one for each of its words."""
    count = tokens_of(prompt)
    digits = hashlib.shake_256(prompt.encode()).hexdigest(count * _DIGITS // 2)
    words = (digits[place : place + _DIGITS] for place in range(0, len(digits), _DIGITS))
    return tuple(_BYTES + int(word, 16) for word in words)


def answer_of(prompt: str) -> str:
    """The only right answer."""
    return text_of(answer_ids(prompt))


def text_of(token_ids: Sequence[int]) -> str:
    """Words of an answer, or of the part of it that these tokens are."""
    return " ".join(f"{token - _BYTES:0{_DIGITS}x}" for token in token_ids)


def prompt_of(token_ids: Sequence[int]) -> str:
    """The prompt behind these token ids."""
    return bytes(token_ids).decode()


class ScriptTokenizer:
    """Prompts are bytes, answers are words: a tokenizer without a model."""

    chat_template: None = None

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt."""
        return list(text.encode())

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:  # noqa: ARG002
        """Text of an answer; no token of it is special."""
        return text_of(token_ids)
