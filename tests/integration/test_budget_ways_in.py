"""Every way in asks the budgets: client, async client, Celery task, command line."""

import asyncio
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from celery import Celery, Task

from penstock_producer import AsyncClient, AsyncJob, BudgetExceeded, Client, Settings
from penstock_producer.cli.main import run
from penstock_shared import clock
from penstock_shared.broker import make_app
from penstock_shared.ledger import budgeting
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.estimating import ASSUMED_TOKENS_PER_S
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.schema import Job
from penstock_shared.stack.processes import free_port
from penstock_workers.desk import Desk
from penstock_workers.patience import Patience
from penstock_workers.task import register
from tests.examples import NOW, Clock, rows
from tests.integration.task.delivering import ScriptedIntake, outcome_of
from tests.integration.task.delivering import run as run_task
from tests.scripted import working

PROMPT = "Who wrote Dune?"
# Two requests of this kind fit into a budget of 0.001 USD, and a third does not.
MAX_TOKENS = 200
PER_TOKEN_PUSD = 400_000_000_000 / (3600 * ASSUMED_TOKENS_PER_S)
ESTIMATE = math.ceil(PER_TOKEN_PUSD * (MAX_TOKENS + len(PROMPT) / 3))
BUDGETS = [{"tenant": "acme", "usd": "0.001", "per": "month"}]
FIELDS: dict[str, Any] = {"tenant": "acme", "max_tokens": MAX_TOKENS}


@pytest.fixture(autouse=True)
def _no_period_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", Clock(NOW))


@pytest.fixture
def settings(make_settings: Callable[..., Settings], ledger_url: str, redis_url: str) -> Settings:
    return make_settings(ledger_url=ledger_url, broker_url=redis_url, budgets=BUDGETS)


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(settings) as opened:
        yield opened


def standing(settings: Settings) -> tuple[int, int]:
    database = Database(settings.ledger)
    [found] = budgeting.standings(database, settings.budgets, clock.now_ms())
    database.close()
    return found.spent_pusd, found.reserved_pusd


def test_a_submit_over_the_budget_is_refused_and_others_are_not(
    client: Client, settings: Settings
) -> None:
    for _ in range(2):
        client.submit(PROMPT, **FIELDS)
    with pytest.raises(BudgetExceeded, match=r"tenant 'acme' \(0\.001 USD per month\)") as refusal:
        client.submit(PROMPT, **FIELDS)
    assert refusal.value.renews_ms > clock.now_ms()
    assert 0 < refusal.value.retry_after_s <= 31 * 86_400
    assert client.submit(PROMPT, tenant="other", max_tokens=MAX_TOKENS).is_new
    assert client.submit(PROMPT, tenant="acme", max_tokens=5).is_new
    assert standing(settings)[1] == 2 * ESTIMATE + math.ceil(PER_TOKEN_PUSD * 10)


def test_of_many_those_that_fit_are_accepted_and_the_first_that_does_not_is_raised(
    client: Client, settings: Settings
) -> None:
    with pytest.raises(BudgetExceeded):
        client.submit_many([PROMPT] * 5, **FIELDS)
    assert standing(settings) == (0, 2 * ESTIMATE)


def test_the_same_keys_again_reserve_nothing(client: Client, settings: Settings) -> None:
    items = [{"prompt": PROMPT, "idempotency_key": f"k{n}"} for n in range(2)]
    first, again = (client.submit_many(items, **FIELDS) for _ in range(2))
    assert [job.id for job in first] == [job.id for job in again]
    assert standing(settings) == (0, 2 * ESTIMATE)


def test_an_answer_makes_room_for_the_next(client: Client, settings: Settings) -> None:
    jobs = client.submit_many([PROMPT] * 2, **FIELDS)
    with working(settings.ledger) as begin:
        begin.set()
        charges = [job.result(timeout=60).charge_usd for job in jobs]
    assert standing(settings) == (sum(round((c or 0) * 10**12) for c in charges), 0)
    assert client.submit(PROMPT, **FIELDS).is_new


def test_of_concurrent_submits_each_hears_its_own_outcome(settings: Settings) -> None:
    async def main() -> list[Any]:
        async with AsyncClient(settings) as client:
            submits = [client.submit(PROMPT, **FIELDS) for _ in range(6)]
            return await asyncio.gather(*submits, return_exceptions=True)

    outcomes = asyncio.run(main())
    assert [type(outcome) for outcome in outcomes] == [AsyncJob] * 2 + [BudgetExceeded] * 4


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    made = make_app(settings)
    yield made
    made.close()


@pytest.fixture
def intake() -> ScriptedIntake:
    return ScriptedIntake()


@pytest.fixture
def infer(app: Celery, database: Database, intake: ScriptedIntake, settings: Settings) -> Task:
    desk = Desk("small", settings=settings, database=database, intake=intake, patience=Patience())
    return register(app, desk)


def test_a_foreign_task_over_the_budget_fails_and_leaves_no_job(
    infer: Task, intake: ScriptedIntake, database: Database, settings: Settings
) -> None:
    for number in (1, 2, 2):
        assert run_task(infer, f"foreign-{number}", prompt=PROMPT, **FIELDS) == outcome_of(
            f"foreign-{number}"
        )
    with pytest.raises(BudgetExceeded, match="renews at"):
        run_task(infer, "foreign-3", prompt=PROMPT, **FIELDS)
    assert {job.id for job in rows(database, Job)} == {"foreign-1", "foreign-2"}
    assert intake.delivered == ["foreign-1", "foreign-2", "foreign-2"]
    assert standing(settings) == (0, 2 * ESTIMATE)


class Done(NamedTuple):
    status: int
    out: str
    err: str


Penstock = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose stack does not run."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("PENSTOCK_BROKER_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    opened = Database(f"sqlite:///{tmp_path / 'ledger.db'}")
    migrate(opened)
    opened.close()
    return tmp_path


@pytest.fixture
def penstock(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Penstock:
    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return call


def submit_options(*options: str) -> tuple[str, ...]:
    return ("submit", PROMPT, "--tenant", "acme", "--max-tokens", str(MAX_TOKENS), *options)


def test_the_command_says_which_budget_and_when_and_exits_with_its_own_status(
    penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_BUDGETS", json.dumps(BUDGETS))
    assert [penstock(*submit_options()).status for _ in range(3)] == [0, 0, 77]
    refused = penstock(*submit_options())
    assert "(budget_exceeded)" in refused.err
    assert "tenant 'acme' (0.001 USD per month)" in refused.err
    assert "renews at 2" in refused.err


def test_the_list_has_each_budget_with_what_is_spent_reserved_and_left(
    penstock: Penstock, home: Path
) -> None:
    (home / "penstock.toml").write_text(
        '[[budgets]]\ntenant = "acme"\nusd = "0.001"\nper = "month"\n'
        '[[budgets]]\nworkflow = "[bold]"\nusd = 2\nper = "day"\ntimezone = "Asia/Ho_Chi_Minh"\n',
        encoding="utf-8",
    )
    penstock(*submit_options())
    first, second = map(json.loads, penstock("budget", "list", "--json").out.splitlines())
    reserved = f"{ESTIMATE:012d}".rstrip("0")
    left = f"{10**9 - ESTIMATE:012d}".rstrip("0")
    renews = first.pop("renews_at")
    assert first == {
        "tenant": "acme",
        "workflow": None,
        "per": "month",
        "timezone": "UTC",
        "limit_usd": "0.001",
        "spent_usd": "0",
        "reserved_usd": f"0.{reserved}",
        "left_usd": f"0.{left}",
    }
    assert renews.endswith("-01T00:00:00Z")
    assert (second["left_usd"], second["renews_at"][-10:]) == ("2", "T17:00:00Z")
    table = penstock("budget", "list").out
    assert f"{float(first['left_usd']):.6f}" in table
    assert "tenant 'acme' (0.001 USD per month)" in table
    assert "[bold]" in table


def test_without_budgets_the_list_says_how_to_make_one(penstock: Penstock) -> None:
    assert "[[budgets]]" in penstock("budget", "list").out
    assert penstock("budget", "list", "--json") == Done(0, "", "")
