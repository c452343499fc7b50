"""Where gates are read from, and that they are read there only."""

from pathlib import Path

import pytest

from penstock_shared.errors import SettingsError
from penstock_shared.gates import Gate, Gates, TierGates, measured_on
from penstock_shared.settings import load_settings
from penstock_shared.words import TaskType

TOML = """
[tiers.only]
model = "a-model"
price_per_hour = 1

[[routing.rules]]
name = "all"
tier = "only"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def write_gates(folder: Path, home: Path, *, passed: bool) -> None:
    tiers = {
        name: TierGates(
            measured_on=measured_on(tier),
            task_types={TaskType.CODE: Gate(passed=passed, why="measured")},
        )
        for name, tier in load_settings(home).tiers.items()
    }
    gates = Gates(suite="s", suite_digest="0", reference="large", tolerance=0.05, tiers=tiers)
    (folder / "gates.json").write_text(gates.model_dump_json())


def test_gates_are_read_from_the_home(home: Path) -> None:
    write_gates(home, home, passed=False)
    assert not load_settings(home).gates["small"][TaskType.CODE].passed


def test_gates_are_read_beside_the_penstock_toml_in_force(home: Path) -> None:
    write_gates(home, home, passed=False)
    Path("penstock.toml").write_text(TOML)
    assert load_settings(home).gates == {}
    write_gates(Path(), home, passed=True)
    assert load_settings(home).gates["only"][TaskType.CODE].passed


def test_an_engine_that_was_changed_has_no_gates_and_a_line_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_gates(home, home, passed=False)
    monkeypatch.setenv("PENSTOCK_TIERS__SMALL__MODEL", "another")
    assert set(load_settings(home).gates) == {"medium", "large"}
    assert "gates.json does not count for small" in caplog.text


def test_gates_are_not_set_by_hand(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("penstock.toml").write_text("[gates.small]\n")
    with pytest.raises(SettingsError, match="measured, not set"):
        load_settings(home)
    Path("penstock.toml").unlink()
    monkeypatch.setenv("PENSTOCK_GATES", "{}")
    with pytest.raises(SettingsError, match="measured, not set"):
        load_settings(home)


def test_broken_gates_stop_the_start_with_a_line_that_says_what_to_do(home: Path) -> None:
    (home / "gates.json").write_text("{")
    with pytest.raises(SettingsError, match="write it anew"):
        load_settings(home)
