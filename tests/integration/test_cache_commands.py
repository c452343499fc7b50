"""``penstock cache``: what people and scripts see of the cache, on a home whose stack is down."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock_producer.cli.main import run
from penstock_shared import clock
from penstock_shared.ledger import cache_entries
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.schema import CacheEntry
from penstock_shared.ledger.settling import Account
from penstock_shared.words import Source
from tests.examples import ACCOUNT, rows
from tests.integration.test_cache_entries import store
from tests.integration.test_cache_stats import answer, compare

_DAY_MS = 86_400_000


class Done(NamedTuple):
    status: int
    out: str
    err: str


Penstock = Callable[..., Done]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The ledger of a home whose stack does not run."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    opened = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def penstock(
    ledger: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Penstock:
    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", "cache", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def filled(ledger: Database) -> dict[str, int]:
    """Three entries: a and b of tier small, b ten days old, c of tier large; by key."""
    later = clock.now_ms() + _DAY_MS
    store(ledger, "a", "b", expires_ms=later)
    store(ledger, "c", account=Account(ACCOUNT.worker_id, "large"), expires_ms=later)
    known = {row.key: row.id for row in rows(ledger, CacheEntry)}
    now = clock.now_ms()
    with ledger.write() as connection:
        for key, age in (("a", 0), ("b", 10), ("c", 0)):
            connection.exec_driver_sql(
                "UPDATE cache_entries SET created_ms = ?, used_ms = ? WHERE key = ?",
                (now - age * _DAY_MS, now - age * _DAY_MS, key),
            )
    cache_entries.touch(ledger, {known["a"]: 5}, now + 1)
    return known


def keys(database: Database) -> set[str]:
    return {row.key for row in rows(database, CacheEntry)}


def test_an_empty_cache_is_said_to_be_empty(penstock: Penstock) -> None:
    assert penstock("stats").out == "no job was answered, and nothing is cached\n"
    assert penstock("entries").out == "nothing is cached\n"
    done = penstock("drop", "--all")
    assert (done.status, done.out, done.err) == (0, "", "no entry is like that\n")
    facts = json.loads(penstock("stats", "--json").out)
    assert facts["rows"] == []
    assert (facts["total"]["answered"], facts["total"]["hit_rate"]) == (0, None)


def test_statistics_are_exact_for_scripts(penstock: Penstock, ledger: Database) -> None:
    answer(ledger, Source.ENGINE, Source.EXACT, Source.SEMANTIC, Source.SEMANTIC)
    answer(ledger, Source.ENGINE, tenant="umbrella", near_miss="entry 7: why")
    compare(ledger, *[(True, True)] * 59, (False, False))
    facts = json.loads(penstock("stats", "--json").out)
    acme, umbrella = facts["rows"]
    assert (acme["tenant"], acme["tier"], umbrella["tenant"]) == ("acme", "small", "umbrella")
    assert (acme["answered"], acme["exact"], acme["semantic"], acme["joined"]) == (4, 1, 2, 0)
    assert (acme["hit_rate"], acme["saved_usd"]) == (0.75, "0.0000000002")
    assert (acme["compared"], acme["differed"]) == (60, 1)
    assert (acme["served_compared"], acme["false_hit_rate"]) == (59, 0)
    assert acme["false_hit_bound"] == pytest.approx(0.0495, abs=1e-4)
    assert acme["exploration_usd"] == "0.0000000003"
    assert (umbrella["near_misses"], umbrella["false_hit_rate"]) == (1, None)
    assert (facts["total"]["answered"], facts["total"]["hit_rate"]) == (5, 0.6)
    [only] = json.loads(penstock("stats", "--tenant", "umbrella", "--json").out)["rows"]
    assert only == umbrella


def test_statistics_for_people_end_with_the_total(
    penstock: Penstock, ledger: Database, filled: dict[str, int]
) -> None:
    answer(ledger, Source.ENGINE, Source.EXACT, tenant="[bold]")
    compare(ledger, *[(True, True)] * 59)
    answers, trust, store = penstock("stats").out.split("└")[:3]
    assert "[bold]" in answers
    for table in (answers, trust, store):
        assert table.splitlines()[-1].split("│")[1].strip() == "total"
    assert "no evidence" in trust
    assert "0.00%, at most 4.95%" in trust.splitlines()[-1]
    assert "0.0 MB" in store


def test_entries_are_listed_without_what_was_asked(
    penstock: Penstock, filled: dict[str, int]
) -> None:
    found = [json.loads(line) for line in penstock("entries", "--json").out.splitlines()]
    assert [entry["entry_id"] for entry in found] == [filled[key] for key in "acb"]
    assert (found[0]["hits"], found[0]["model"], found[0]["tenant"]) == (5, "a-model", "default")
    assert (found[0]["prompt_tokens"], found[0]["completion_tokens"]) == (7, 5)
    assert found[0]["charge_usd"] == "0.000000001"
    assert not any("question" in entry or "text" in entry for entry in found)
    table = penstock("entries", "--tier", "small").out
    assert "10d" in table
    assert "a?" not in table
    assert len(penstock("entries", "--limit", "1", "--json").out.splitlines()) == 1


def test_questions_are_shown_when_they_are_asked_for(
    penstock: Penstock, ledger: Database, filled: dict[str, int]
) -> None:
    with ledger.write() as connection:
        connection.exec_driver_sql(
            "UPDATE cache_entries SET question = ? WHERE key = 'a'", ("\x1b[2Jred\n[bold] " * 99,)
        )
    shown = penstock("entries", "--show-questions").out
    assert "\x1b" not in shown
    assert "[2Jred [bold]" in shown
    assert "…" in shown
    found = [
        json.loads(line)
        for line in penstock("entries", "--show-questions", "--json").out.splitlines()
    ]
    assert found[1]["question"] == "c?"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (("--tier", "large"), "ab"),
        (("--older-than", "7d"), "ac"),
        (("--older-than", "2w"), "abc"),
        (("--tier", "small", "--model", "a-model"), "c"),
        (("--tenant", "default"), ""),
        (("--tenant", "acme"), "abc"),
        (("--all",), ""),
        (("--all", "--yes"), ""),
    ],
)
def test_what_is_chosen_is_dropped(
    penstock: Penstock,
    ledger: Database,
    filled: dict[str, int],
    arguments: tuple[str, ...],
    left: str,
) -> None:
    assert json.loads(penstock("drop", *arguments, "--json").out) == {"dropped": 3 - len(left)}
    assert keys(ledger) == set(left)


def test_named_entries_are_dropped_and_counted(
    penstock: Penstock, ledger: Database, filled: dict[str, int]
) -> None:
    a, b = str(filled["a"]), str(filled["b"])
    assert penstock("drop", "--entry", a, "--entry", b).out == "2 entries dropped\n"
    assert penstock("drop", "--entry", str(filled["c"])).out == "1 entry dropped\n"
    assert penstock("drop", "--entry", a).err == "no entry is like that\n"
    assert keys(ledger) == set()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 65, "say what to drop with --tenant"),
        (("--yes",), 65, "say what to drop with --tenant"),
        (("--all", "--tier", "small"), 65, "or say --all for the whole cache"),
        (("--older-than", "a week"), 65, "such as 7d"),
        (("--older-than", "7"), 65, "such as 7d"),
        (("--entry", "0"), 2, "greater than or equal to 1"),
    ],
)
def test_a_choice_that_is_none_drops_nothing(
    penstock: Penstock,
    ledger: Database,
    filled: dict[str, int],
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    done = penstock("drop", *arguments)
    assert (done.status, done.out) == (status, "")
    assert message in " ".join(done.err.split())
    assert keys(ledger) == set("abc")


@pytest.mark.parametrize(("reply", "status", "left"), [("n", 1, "abc"), ("y", 0, "c")])
def test_at_a_terminal_it_asks_first(
    penstock: Penstock,
    ledger: Database,
    filled: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    reply: str,
    status: int,
    left: str,
) -> None:
    asked: list[str] = []

    def confirm(text: str, *, err: bool) -> bool:
        asked.append(text)
        return reply == "y"

    monkeypatch.setattr("typer.confirm", confirm)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert penstock("drop", "--tier", "small").status == status
    assert asked == ["drop 2 entries?"]
    assert keys(ledger) == set(left)
