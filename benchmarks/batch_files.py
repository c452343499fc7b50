"""The files of the batch benchmark: lines that never repeat, and lines of which a third do."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from penstock_workers.toys.data import draw
from penstock_workers.toys.sample import TaskType

MODEL: Final = "bench"
_TASKS: Final[tuple[TaskType, ...]] = ("reasoning", "summarization", "long_context", "translation")
_MAX_TOKENS: Final = 256
_REPEATED: Final = 3  # one line of so many repeats or rewords another
_REWORDINGS: Final = ("Please tell me: {0}", "{0} Thank you!", "Hello! {0}", "Please, {0}")


def write_distinct(path: Path, count: int, *, round_number: int) -> None:
    """Sums, summaries, look-ups in documents and translations, of as many lengths, none twice."""
    _write(path, _prompts(count, round_number))


def write_repeating(path: Path, count: int, *, round_number: int) -> None:
    """The same, but a third of the lines are other lines again, half of them in other words."""
    random = Random(round_number)
    repeated = count // _REPEATED
    prompts = _prompts(count - repeated, round_number)
    again = [random.choice(prompts) for _ in range(repeated)]
    half = repeated // 2
    mixed = [*prompts, *again[:half], *(_reworded(random, prompt) for prompt in again[half:])]
    random.shuffle(mixed)
    _write(path, mixed)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of an input or an output."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _prompts(count: int, round_number: int) -> Sequence[str]:
    random = Random(f"batch {round_number}")
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(draw(random, random.choice(_TASKS)).prompt)
    return list(found)


def _reworded(random: Random, prompt: str) -> str:
    return random.choice(_REWORDINGS).format(prompt)


def _write(path: Path, prompts: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, prompt in enumerate(prompts, start=1):
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": _MAX_TOKENS,
                "temperature": 0,
            }
            line = {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": body,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
