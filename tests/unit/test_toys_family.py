"""One command trains the family: each round is one that train.py takes, in an order that works."""

import json
from pathlib import Path

import pytest

from penstock_shared.gates import DEFAULT_GATES, read_gates
from penstock_workers.evals.suite import load_suite
from penstock_workers.models import locate
from penstock_workers.toys import family
from penstock_workers.toys.family import QUANTIZED, ROUNDS


def test_a_round_goes_on_from_one_that_was_made_before_of_the_same_size() -> None:
    made: dict[str, str] = {}
    for one in ROUNDS:
        assert one.name not in made
        assert one.start_from is None or made[one.start_from] == one.size
        made[one.name] = one.size


def test_the_family_ends_in_the_models_that_are_in_the_package() -> None:
    for name in ("draft", "small", "medium", "large", *QUANTIZED):
        assert Path(locate(f"penstock-toys/{name}"), "model.safetensors").is_file()
    last = {one.size: one.name for one in ROUNDS}
    assert all(size == name for size, name in last.items())


def test_a_round_that_is_done_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def run(command: list[str], *, check: bool) -> None:
        out = Path(command[-1])
        called.append(out.name)
        out.mkdir(exist_ok=True)
        if called.count("draft") == 1 and out.name == "draft":
            raise KeyboardInterrupt
        (out / "metrics.json").write_text(json.dumps({}))

    monkeypatch.setattr(family.subprocess, "run", run)
    monkeypatch.setattr(family, "quantize_folder", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["family", "--out", str(tmp_path)])
    with pytest.raises(KeyboardInterrupt):
        family.main()
    before = list(called)
    family.main()
    assert called[len(before) :] == ["draft", "medium-one", "medium", *called[-3:]]
    assert sorted(called) == sorted([one.name for one in ROUNDS] + ["draft"])


def test_the_default_gates_were_measured_on_the_suite_of_today() -> None:
    assert read_gates(DEFAULT_GATES).suite_digest == load_suite("penstock-toys").digest
