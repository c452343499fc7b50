"""What the commands are given and what they leave."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Done(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """The last line, which is JSON."""
        return json.loads(self.out.splitlines()[-1])


Penstock = Callable[..., Done]


def request(custom_id: str, prompt: str, **body: Any) -> str:
    chat = {"messages": [{"role": "user", "content": prompt}], **body}
    return json.dumps(
        {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": chat},
        ensure_ascii=False,
    )


def write(path: Path, *requests: str) -> Path:
    path.write_text("".join(f"{each}\n" for each in requests), encoding="utf-8")
    return path


def questions(path: Path, count: int, *more: str) -> Path:
    return write(path, *(request(f"q-{n}", f"What is {n}?") for n in range(count)), *more)


def read(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def names(path: str | Path) -> list[str]:
    return sorted(line["custom_id"] for line in read(path))
