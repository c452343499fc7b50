"""Lines enter the ledger once each, as they were checked, whoever loads them."""

import os
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock_producer.batch import loading as loaders
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.loading import Loader
from penstock_producer.batch.preparing import prepare
from penstock_producer.batch.reading import Source
from penstock_producer.batch.running import BatchRun, RunOptions
from penstock_shared.budgets import Budget
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches import loading, records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.settings import Settings
from penstock_shared.words import BatchState
from tests.batch_files import (
    a_batch_file,
    custom_ids,
    options_in,
    questions,
    run_batch,
    source_of,
    start,
)
from tests.batch_worker import BatchWorker
from tests.examples import rows


def began(settings: Settings, database: Database, source: Source) -> BatchRecord:
    """A batch of which nothing is loaded."""
    return BatchRun(settings, database, source, RunOptions()).start(prepare(source, settings))


def loader_of(
    settings: Settings, database: Database, source: Source, record: BatchRecord
) -> Loader:
    return Loader(settings, database, source, record, LineSet(), threading.Event())


def after_each_group(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> list[int]:
    """Do something after each group that enters; returns how large they are."""
    sizes: list[int] = []
    load = loading.load

    def load_and_act(*arguments: Any, **more: Any) -> None:
        load(*arguments, **more)
        sizes.append(more["upto"] - more["loaded"])
        act(more["upto"])

    monkeypatch.setattr(loading, "load", load_and_act)
    return sizes


def write_in_place(path: Path, content: bytes) -> None:
    """Other bytes in the same file, as some seconds later."""
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def test_an_input_that_is_changed_in_place_is_noticed_and_the_old_one_goes_on(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(100))
    checked = path.read_bytes()
    lines = checked.splitlines(keepends=True)
    assert len(lines[98]) == len(lines[97])
    twice = b"".join([*lines[:98], lines[97], *lines[99:]])
    with monkeypatch.context() as patch:
        after_each_group(patch, lambda _: write_in_place(path, twice))
        with pytest.raises(InvalidBatch, match="input_modified"):
            run_batch(settings, database, source_of(path, settings), options_in(tmp_path))
    [record] = records.newest(database)
    assert (record.loaded, record.state) == (64, BatchState.PAUSED)
    assert "input changed" in (record.stopped_by or "")

    write_in_place(path, checked)
    with BatchWorker(database):
        summary = run_batch(settings, database, source_of(path, settings), options_in(tmp_path))
    assert summary.record.id == record.id
    assert custom_ids(tmp_path / "out.jsonl") == {f"line-{n}": 1 for n in range(1, 101)}


def test_a_folder_that_changes_while_it_is_loaded_gives_no_wrong_line(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.txt").write_text(f"What is {number}?")
    source = source_of(folder, settings, template="{{ text }}")
    with monkeypatch.context() as patch:
        after_each_group(patch, lambda _: (folder / "150.txt").write_text("What is new?"))
        with pytest.raises(InvalidBatch, match="input_modified"):
            start(settings, database, source, RunOptions()).load()
    [record] = records.newest(database)
    assert (record.loaded, record.state) == (150, BatchState.PAUSED)
    assert not any("new" in row.request for row in rows(database, Job))


def test_an_input_that_changes_while_it_is_checked_is_not_accepted(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(501))

    def change(_: float | None, __: int) -> None:
        write_in_place(path, b" ")

    with pytest.raises(InvalidBatch, match="input_modified"):
        prepare(source_of(path, settings), settings, on_progress=change)


def test_a_loader_goes_on_where_another_was_killed(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = a_batch_file(tmp_path / "in.jsonl", questions(100))
    path.write_text("\n" + path.read_text())
    source = source_of(path, settings)
    record = start(settings, database, source, RunOptions()).load()
    assert (record.loaded, record.is_loaded) == (100, True)
    assert loader_of(settings, database, source, record).run()
    assert len(rows(database, Job)) == 100


def test_two_commands_that_load_one_batch_load_each_line_once(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(200)), settings)
    record = began(settings, database, source)
    other = loader_of(settings, database, source, record)

    def kill_other(_: int) -> None:
        other._stop.set()

    with monkeypatch.context() as patch:
        after_each_group(patch, kill_other)
        assert not other.run()
    assert records.get(database, record.id).loaded == 64
    mine = loader_of(settings, database, source, record)  # it does not know of these 64
    assert mine.run()
    assert sorted(row.batch_line for row in rows(database, Job)) == list(range(1, 201))


def test_a_paused_batch_is_loaded_all_the_same(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(100)), settings)
    run = BatchRun(settings, database, source, RunOptions())
    record = run.start(prepare(source, settings))
    after_each_group(monkeypatch, lambda _: records.pause(database, record.id, "by an operator"))
    record = run.load()
    assert (record.loaded, record.state) == (100, BatchState.PAUSED)
    assert BatchWorker(database).serve() == 0


def test_who_does_not_wait_for_a_budget_pauses_at_once(
    make_settings: Callable[..., Settings], ledger_url: str, database: Database, tmp_path: Path
) -> None:
    budget = Budget(tenant="default", per="day", usd=Decimal("0.0000000001"))
    settings = make_settings(ledger_url=ledger_url, budgets=(budget,))
    source = source_of(a_batch_file(tmp_path / "in.jsonl", questions(2)), settings)
    for waits in (False, True):  # nothing is open that could give some back
        record = start(settings, database, source, RunOptions()).load(waits=waits)
        assert (record.loaded, record.state) == (0, BatchState.PAUSED)
        assert "budget" in (record.stopped_by or "")


def test_groups_grow_and_are_bounded_by_all_messages(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "in.csv"
    table.write_text("text\n" + "What?\n" * 500, encoding="utf-8")
    sizes = after_each_group(monkeypatch, lambda _: None)
    start(settings, database, source_of(table, settings), RunOptions()).load()
    assert sizes == [64, 128, 256, 52]

    sizes.clear()
    monkeypatch.setattr(loaders, "_GROUP_CHARS", 1_000)
    source = source_of(table, settings, system="Answer! " * 20)
    start(settings, database, source, RunOptions()).load()
    assert max(sizes) == 1_000 // 165 + 1
