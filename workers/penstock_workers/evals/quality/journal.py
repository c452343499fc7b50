"""What an evaluation has measured so far: a JSONL file that only grows, so that it can resume."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock_workers.engine.protocol import EngineLimits, Speculation
from penstock_workers.evals.bench import Answer

FILE: Final = "measured.jsonl"


class Key(NamedTuple):
    """An engine configuration and a suite, by their digests."""

    engine: str
    suite: str


class Timing(NamedTuple):
    """One run of one task type: output tokens and seconds."""

    task_type: str
    tokens: int
    wall_s: float


class Journal:
    """Answers, timings and limits by engine and suite. A line that was cut off is not counted."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / FILE
        self._answers: dict[Key, dict[str, Answer]] = {}
        self._timings: dict[Key, list[Timing]] = {}
        self._limits: dict[Key, EngineLimits] = {}
        for line in self._lines():
            self._take(line)

    def answers(self, key: Key) -> dict[str, Answer]:
        """Answers by the id of their case."""
        return self._answers.get(key, {})

    def timings(self, key: Key) -> list[Timing]:
        """All runs of this engine on this suite."""
        return self._timings.get(key, [])

    def limits(self, key: Key) -> EngineLimits | None:
        """What the engine had when it was loaded."""
        return self._limits.get(key)

    def add(self, key: Key, *facts: Answer | Timing | EngineLimits) -> None:
        """Write facts down, one flush for all of them."""
        lines = [_line(key, fact) for fact in facts]
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        for line in lines:
            self._take(line)

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        whole = self._path.read_bytes()
        end = whole.rfind(b"\n") + 1
        if end != len(whole):
            with self._path.open("r+b") as file:
                file.truncate(end)  # the line that an interrupted run did not finish
        yield from _parsed(whole[:end].decode("utf-8").split("\n"))

    def _take(self, line: dict[str, Any]) -> None:
        key = Key(line["engine"], line["suite"])
        match line["kind"]:
            case "Answer":
                *fields, speculation = line["fact"]
                drafted = Speculation(*speculation) if speculation else None
                answer = Answer._make([*fields, drafted])
                self._answers.setdefault(key, {})[answer.case_id] = answer
            case "Timing":
                self._timings.setdefault(key, []).append(Timing(*line["fact"]))
            case "EngineLimits":
                self._limits[key] = EngineLimits(*line["fact"])


def _line(key: Key, fact: Answer | Timing | EngineLimits) -> dict[str, Any]:
    return {**key._asdict(), "kind": type(fact).__name__, "fact": list(fact)}


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line:
            yield json.loads(line)
