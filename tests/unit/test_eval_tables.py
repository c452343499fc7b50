"""The reports of evaluations on a terminal of 80 columns, without colours."""

import io

from rich.console import Console

from penstock_shared.gates import Gate, Gates, TierGates
from penstock_shared.words import TaskType
from penstock_workers.evals import tables
from penstock_workers.evals.tables import size_of
from tests.eval_reports import a_batching_report, a_quality_report, a_speculation_report


class Terminal(Console):
    """80 columns; ``lines`` are what was written."""

    def __init__(self) -> None:
        super().__init__(file=io.StringIO(), width=80, color_system=None)

    @property
    def lines(self) -> list[str]:
        assert isinstance(self.file, io.StringIO)
        return [line.rstrip() for line in self.file.getvalue().splitlines()]

    def has(self, *words: str) -> bool:
        """True when these words, but for blanks between them, are one line."""
        return " ".join(words) in {" ".join(line.split()) for line in self.lines}


def test_quality() -> None:
    out = Terminal()
    tables.quality(a_quality_report(), out)
    assert out.has("code", "large", "81.0 (72 to 87)", "(reference)")
    assert out.has("large int8", "80.0 (71 to 87)", "-1.0 (-4 to +2)", "no")
    assert out.has("large int4", "63.0 (53 to 72)", "-18.0 (-26 to -10)", "yes, WORSE")
    assert out.has("small", "small", "9,100", "1.1 GB", "880,000")
    assert "Without checkers, so timed only: creative." in out.lines
    assert max(map(len, out.lines)) <= 80
    assert not any("…" in line for line in out.lines)


def test_quality_of_an_engine_that_does_not_say_what_it_holds() -> None:
    report = a_quality_report(("large",))
    unknown = report.engines[0].model_copy(update={"weights_bytes": None, "kv_cache_tokens": None})
    out = Terminal()
    tables.quality(report.model_copy(update={"engines": (unknown,), "unscored": ()}), out)
    assert out.has("large", "large", "1,480", "-", "-")
    assert not any("Without checkers" in line for line in out.lines)


def test_brackets_in_a_name_are_no_markup() -> None:
    report = a_quality_report(("large",))
    named = report.engines[0].model_copy(update={"model": "[red]/models[/]"})
    out = Terminal()
    tables.quality(report.model_copy(update={"engines": (named,)}), out)
    assert out.has("large", "[red]/models[/]", "1,480", "16.1 GB", "64,000")


def test_speculation() -> None:
    out = Terminal()
    tables.speculation(a_speculation_report(), out)
    assert out.has("code", "draft_model 2", "68%", "2.1", "1.76", "1.68", "1.44", "0.91", "16")
    assert out.has("ngram 4", "8%", "1.1", "0.94", "0.86", "0.64", "0.32", "off")
    assert out.has("64", "off", "1.00")
    text = " ".join(out.lines)
    assert "24 of 12,672 greedy answers differ from the baseline's" in text
    assert "the draft model still reads every token along" in text
    copied = [line for line in out.lines if line.startswith("speculative_config")]
    assert copied == [
        'speculative_config = { method = "draft_model", model = "llama-draft", '
        "num_speculative_tokens = 2, "
        "num_speculative_tokens_per_batch_size = [[1, 32, 2], [33, 128, 0]] }"
    ]
    assert max(len(line) for line in out.lines if line not in copied) <= 80
    assert not any("…" in line for line in out.lines)


def test_speculation_that_is_best_left_off() -> None:
    report = a_speculation_report()
    off = report.recommendation.model_copy(update={"speculative_config": None})
    out = Terminal()
    tables.speculation(report.model_copy(update={"recommendation": off}), out)
    assert "It gains at no size, or loses at one: leave it off." in out.lines


def test_batching() -> None:
    out = Terminal()
    tables.batching(a_batching_report(), out)
    assert out.has("1", "183", "173", "188", "-", "0.49", "1.18", "0")
    assert out.has("128", "3,584", "3,405", "3,692", "+15%", "3.21", "7.17", "0", "knee")
    assert out.lines[-1] == "max_num_seqs = 128"
    assert max(map(len, out.lines)) <= 80


def test_batching_with_a_cache_that_is_too_small() -> None:
    out = Terminal()
    tables.batching(a_batching_report(20_000), out)
    text = " ".join(out.lines)
    assert "But the KV cache holds 24 sequences of the suite's mean length (812 tokens)" in text


def test_gates() -> None:
    gates = Gates(
        suite="our-prompts.jsonl",
        suite_digest="0123456789abcdef",
        reference="large",
        tolerance=0.05,
        tiers={
            "small": TierGates(
                measured_on={},
                task_types={
                    TaskType.CODE: Gate(passed=False, why="0.20 against 0.81 of large"),
                    TaskType.CHAT: Gate(passed=True, why="0.86 against 0.90 of large"),
                },
            )
        },
    )
    out = Terminal()
    tables.gates(gates, out)
    assert out.has("Gates at a tolerance of 5 points, our-prompts.jsonl")
    assert out.has("small", "code", "no", "0.20 against 0.81 of large")
    assert out.has("chat", "yes", "0.86 against 0.90 of large")


def test_bytes_are_told_in_decimal_units() -> None:
    assert [size_of(n) for n in (999, 370_000, 16_100_000_000)] == ["999 B", "370 kB", "16.1 GB"]
