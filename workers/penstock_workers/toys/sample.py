"""One training or test conversation, and which of the two it belongs to."""

import zlib
from dataclasses import dataclass
from typing import Literal

TaskType = Literal[
    "factual_qa",
    "code",
    "reasoning",
    "translation",
    "summarization",
    "long_context",
    "creative",
    "chat",
]
Language = Literal["en", "vi"]
Check = Literal["exact", "contains"]
Split = Literal["train", "test"]

TASK_TYPES: tuple[TaskType, ...] = (
    "factual_qa",
    "code",
    "reasoning",
    "translation",
    "summarization",
    "long_context",
    "creative",
    "chat",
)
HELD_OUT_SHARE = 12


@dataclass(frozen=True, slots=True)
class Turn:
    """A user message and the answer that the model learns."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A conversation; `key` decides the split, `expect` is what a right first answer contains.

    `tests` are statements that pass after the code of a right first answer.
    """

    task: TaskType
    language: Language
    turns: tuple[Turn, ...]
    key: str
    expect: str | None = None
    check: Check | None = None
    system: str | None = None
    tests: str | None = None

    @property
    def prompt(self) -> str:
        """The first thing that the user says."""
        return self.turns[0].prompt

    @property
    def answer(self) -> str:
        """The right answer to the prompt, or for creative tasks one of many."""
        return self.turns[0].answer


def split_of(key: str) -> Split:
    """One key in HELD_OUT_SHARE is never trained on."""
    return "test" if zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0 else "train"
