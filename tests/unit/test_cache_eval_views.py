"""The report of ``cache eval`` as tables, as a picture, and as a command."""

import json
import random
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from penstock_shared.settings import CacheSettings
from penstock_workers.cache.evaluating import tables
from penstock_workers.cache.evaluating.judging import Judged
from penstock_workers.cache.evaluating.picture import draw
from penstock_workers.cache.evaluating.report import report_on
from penstock_workers.cli import app
from tests.cache_pairs import ScriptedEncoder, a_judged, by_last_word
from tests.unit.test_eval_tables import Terminal

PAIRS = (
    {"a": "q0 x", "b": "q1 x", "same": True, "kind": "typo"},
    {"a": "q0 x", "b": "q2 y", "same": True, "kind": "typo"},
    {"a": "q0 z", "b": "q3 z", "same": False, "kind": "date", "language": "en"},
)
FACTS = {
    "pairs", "same", "different", "hits", "right", "wrong", "precision", "precision_low",
    "precision_high", "recall", "threshold", "encoder", "wrong_hits", "by_kind", "by_language",
}  # fmt: skip


def draw_and_measure(found: list[Judged], folder: Path) -> tuple[int, int]:
    report = report_on(found, threshold=0.9, bare_threshold=0.95, encoder="câu $x_1$" * 9)
    draw(found, report, folder / "curve.png", name="cặp $x_1$.jsonl" * 9)
    head = (folder / "curve.png").read_bytes()[:24]
    width, height = struct.unpack(">II", head[16:])
    return width, height


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("similarity", [None, 0.3, 1.0])
def test_a_picture_of_one_pair(same: bool, similarity: float | None, tmp_path: Path) -> None:
    assert draw_and_measure([a_judged(similarity, same=same)], tmp_path) == (1200, 700)


def test_a_picture_of_many_pairs(tmp_path: Path) -> None:
    rng = random.Random(7)
    found = [
        a_judged(rng.uniform(0.5, 1), same=rng.random() < 0.5, accepted=rng.random() < 0.5)
        for _ in range(500)
    ]
    assert draw_and_measure(found, tmp_path) == (1200, 700)


def test_the_tables_fit_a_terminal() -> None:
    found = [
        a_judged(0.96, same=False, kind="[red]date", reason="two\nlines", line=7),
        a_judged(0.96, accepted=False, reason="differ in 4, 5", line=8),
    ]
    report = report_on(
        found, threshold=0.9, bare_threshold=0.95, encoder="scripted", with_misses=True
    )
    out = Terminal()
    tables.show(report, out)
    assert out.has("verified from 0.9", "1", "0", "1", "0.0 (0.0 to 97.5)", "0.0")
    assert out.has("bare cosine from 0.95", "2", "1", "1", "50.0 (1.3 to 98.7)", "100.0")
    assert out.has("[red]date", "1", "0", "1", "1", "-")
    assert out.has("differ", "1", "1")
    assert "line 7  cosine 0.960  [red]date: two lines" in out.lines
    assert "line 8  cosine 0.960: differ in 4, 5" in out.lines
    assert max(map(len, out.lines)) <= 80


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert [tables.percent(share) for share in (1.0, 0.9999, 0.5, 0.0, None)] == [
        "100.0", "99.9", "50.0", "0.0", "-",
    ]  # fmt: skip


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The pairs in a file, and an encoder and a verifier by script."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setattr("penstock_workers.encoder.Encoder.load", lambda _: ScriptedEncoder())
    monkeypatch.setattr("penstock_workers.cache.verifier.verify", by_last_word)
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, PAIRS)))
    return path


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["cache", "eval", *map(str, arguments)], input=stdin)


def test_the_command_prints_one_object(scripted: Path) -> None:
    done = run(scripted, "--json", "--curve", scripted.with_name("curve.png"))
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts.keys() == FACTS | {"bare", "miss_reasons"}
    assert facts["bare"].keys() == FACTS
    assert (facts["hits"], facts["right"], facts["wrong"], facts["recall"]) == (2, 1, 1, 0.5)
    assert facts["wrong_hits"][0]["line"] == 3
    assert facts["by_kind"]["typo"]["hits"] == 1
    assert facts["threshold"] == CacheSettings().threshold
    assert facts["bare"]["threshold"] == 0.95
    assert scripted.with_name("curve.png").read_bytes().startswith(b"\x89PNG")
    assert "encoding" in done.stderr


def test_standard_input_thresholds_and_misses(scripted: Path) -> None:
    options = ("--threshold", 1, "--bare-threshold", 0.99999, "--json", "--misses")
    facts = json.loads(run("-", *options, stdin=scripted.read_text()).stdout)
    assert (facts["hits"], facts["precision"], facts["bare"]["hits"]) == (0, None, 0)
    assert [miss["line"] for miss in facts["misses"]] == [1, 2]


def test_the_command_prints_tables(scripted: Path) -> None:
    done = run(scripted, "--misses")
    assert done.exit_code == 0
    assert "line 3" in done.stdout
    assert "differ in x, y" in done.stdout


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--min-precision", 0.5, "--min-recall", 0.5), 0),
        (("--min-precision", 0.51), 1),
        (("--min-recall", 0.51), 1),
        (("--threshold", 1, "--min-precision", 0), 1),
        (("--threshold", "nan"), 2),
        (("--min-recall", 1.1), 2),
        (("--curve", "curve.svg"), 2),
        (("--curve", "no/such/folder/curve.png"), 2),
    ],
)
def test_exit_statuses(scripted: Path, options: tuple[object, ...], status: int) -> None:
    assert run(scripted, *options).exit_code == status


def test_bad_lines_are_told_and_nothing_is_evaluated(scripted: Path) -> None:
    scripted.write_text('{}\n{"a": "x", "b": "y", "same": true}\n[1]\n')
    done = run(scripted, "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line.split(":")[0][-6:] for line in done.stderr.splitlines()] == ["line 1", "line 3"]
    assert run("-", stdin="").exit_code == 2
    assert run(scripted.with_name("none.jsonl")).exit_code == 2
