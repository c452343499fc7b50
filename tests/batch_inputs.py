"""Inputs of batches for tests: lines as OpenAI has them, and files of all kinds."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import zstandard

from penstock_producer.batch.reading import Line, ReadOptions, Source
from penstock_shared.settings import Settings

SETTINGS = Settings()
QUESTION = "Thủ đô của Việt Nam là gì?"


def openai_line(custom_id: Any = "a", url: str = "/v1/chat/completions", **body: Any) -> str:
    """One line of a batch file; without a body, a question in Vietnamese."""
    if not body.keys() & {"messages", "prompt", "input"}:
        body["messages"] = [{"role": "user", "content": QUESTION}]
    values = {"custom_id": custom_id, "method": "POST", "url": url, "body": body}
    return json.dumps(values, ensure_ascii=False)


def write_lines(path: Path, lines: Iterable[str | Mapping[str, Any]]) -> Path:
    texts = (x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def opened(path: Path | str, settings: Settings = SETTINGS, **options: Any) -> Source:
    spool = Path(path).parent / "spool"
    return Source.open(str(path), ReadOptions(**options), settings, spool=spool)


def lines_of(path: Path, **options: Any) -> list[Line]:
    return list(opened(path, **options).lines())


def packed(path: Path, content: bytes) -> Path:
    """Write bytes plain, as gzip or as zstd, by the name's ending."""
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.compress(content)
    path.write_bytes(content)
    return path
