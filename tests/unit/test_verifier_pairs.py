"""The verifier on labelled pairs. The held-out set is never looked at here."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from penstock_workers.cache.verifier import verify

PAIRS = Path(__file__).parents[2] / "benchmarks" / "pairs"


def pairs(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (PAIRS / name).read_text(encoding="utf-8").splitlines()]


def question(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


def earlier(prompt: Any) -> list[Any]:
    return [] if isinstance(prompt, str) else prompt[:-1]


def are_hits(chosen: list[dict[str, Any]]) -> list[bool]:
    return [
        earlier(pair["a"]) == earlier(pair["b"])
        and verify(question(pair["a"]), question(pair["b"])).same
        for pair in chosen
    ]


@pytest.mark.parametrize("name", ["development.jsonl", "traps.jsonl"])
def test_no_pair_that_differs_is_a_hit(name: str) -> None:
    different = [pair for pair in pairs(name) if not pair["same"]]
    hits = are_hits(different)
    wrong = [(p["a"], p["b"]) for p, hit in zip(different, hits, strict=True) if hit]
    assert wrong == []


@pytest.mark.parametrize(("language", "least"), [("en", 0.7), ("vi", 0.65)])
def test_most_rewordings_are_hits(language: str, least: float) -> None:
    same = [p for p in pairs("development.jsonl") if p["same"] and p["language"] == language]
    assert sum(are_hits(same)) / len(same) > least


def test_the_development_set_has_all_kinds_in_both_languages() -> None:
    found = pairs("development.jsonl")
    assert len(found) >= 600
    for language in ("en", "vi"):
        labels = Counter(pair["same"] for pair in found if pair["language"] == language)
        assert abs(labels[True] - labels[False]) <= 0.1 * labels.total()
        kinds = {pair["kind"] for pair in found if pair["language"] == language}
        assert kinds >= {"number", "negation", "direction", "code", "synonym", "typo", "reworded"}


def test_nothing_of_the_held_out_set_is_in_the_development_set() -> None:
    known = {json.dumps([p["a"], p["b"]]) for p in pairs("development.jsonl")}
    assert not known & {json.dumps([p["a"], p["b"]]) for p in pairs("held_out.jsonl")}


def test_a_pair_has_one_verdict_in_both_directions() -> None:
    some = pairs("development.jsonl")[::7]
    swapped = [{**pair, "a": pair["b"], "b": pair["a"]} for pair in some]
    assert are_hits(some) == are_hits(swapped)
