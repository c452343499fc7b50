"""The files of the batch benchmark: lines that never repeat, and lines of which a third do."""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from workload import Item, make_items

MODEL: Final = "bench"
_REPEATED: Final = 3  # one line of so many repeats or rewords another
_REWORDINGS: Final = (
    "{0}",
    "Please tell me: {0}",
    "{0} Thank you!",
    "Hello, {0}",
    "Could you please tell me, {0}",
)


def write_distinct(path: Path, count: int, *, round_number: int) -> int:
    """Lines of variable lengths, none like another; returns the tokens to generate."""
    return _write(path, make_items(count, round_number=round_number))


def write_repeating(path: Path, count: int, *, round_number: int) -> int:
    """The same, but a third of the lines are other lines again, half of them in other words.

    Returns the tokens that somebody generates who does not see that.
    """
    draw = random.Random(round_number)
    repeated = count // _REPEATED
    items = make_items(count - repeated, round_number=round_number)
    again = [draw.choice(items) for _ in range(repeated)]
    words = [
        item if draw.random() < 0.5 else Item(_reworded(draw, item.prompt), item.max_tokens)
        for item in again
    ]
    mixed = [*items, *words]
    draw.shuffle(mixed)
    return _write(path, mixed)


def write_with_prefixes(
    path: Path, prefixes: Sequence[str], per_prefix: int, *, round_number: int
) -> int:
    """Lines in random order, each a question after one of the long prefixes."""
    items = make_items(len(prefixes) * per_prefix, round_number=round_number)
    draw = random.Random(round_number)
    order = [prefix for prefix in prefixes for _ in range(per_prefix)]
    draw.shuffle(order)
    return _write(
        path,
        [Item(f"{prefix}\n\n{item.prompt}", 8) for prefix, item in zip(order, items, strict=True)],
    )


def outcomes(path: Path) -> list[dict[str, Any]]:
    """The lines of an output."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _reworded(draw: random.Random, prompt: str) -> str:
    return draw.choice(_REWORDINGS[1:]).format(prompt)


def _write(path: Path, items: Iterable[Item]) -> int:
    tokens = 0
    with path.open("w", encoding="utf-8") as file:
        for number, item in enumerate(items, start=1):
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": item.prompt}],
                "max_tokens": item.max_tokens,
                "temperature": 0,
                "ignore_eos": True,
            }
            line = {
                "custom_id": f"line-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": body,
            }
            file.write(json.dumps(line) + "\n")
            tokens += item.max_tokens
    return tokens
