"""penstock plan kv and plan bill, as they are typed."""

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock_producer.cli.main import run
from penstock_shared import clock
from penstock_shared.ledger import accepting, settling, worker_time
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.ledger.settling import Account
from tests.examples import WORKER, a_draft, claim_some, succeeded


class Done(NamedTuple):
    status: int
    out: str
    err: str


Penstock = Callable[..., Done]
LLAMA = ("plan", "kv", "--model", "llama-3-70b", "--kv-dtype", "fp16")
GIVEN = ("plan", "bill", "--requests", "1000000", "--prompt-tokens", "200:0.7,4000:0.3",
         "--output-tokens", "250", "--share", "small=0.6", "--share", "large=0.4",
         "--cache-hit-rate", "0.2")  # fmt: skip


@pytest.fixture
def penstock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Penstock:
    """The command in this process, on an empty home."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        status = ended.value.code
        assert status is None or isinstance(status, int)
        return Done(status or 0, *capsys.readouterr())

    return call


def test_kv_prints_a_line_of_json_for_each_context(penstock: Penstock) -> None:
    done = penstock(*LLAMA, "--context", "32768", "--context", "8192", "--gpu-memory", "80",
                    "--tensor-parallel", "4", "--json")  # fmt: skip
    short, long = map(json.loads, done.out.splitlines())
    assert (short["context"], long["context"]) == (8_192, 32_768)
    assert long["kv_bytes_per_token"] == 327_680
    assert long["kv_bytes_per_request"] == 10_737_418_240
    assert long["weights_bytes"]["bf16"] == 141_107_412_992
    assert long["max_concurrent"].keys() == long["weights_bytes"].keys()
    assert short["max_concurrent"]["bf16"] == 61
    assert "8,192" in done.err


def test_kv_without_a_gpu_says_nothing_of_what_fits(penstock: Penstock) -> None:
    facts = json.loads(penstock(*LLAMA, "--context", "100", "--json").out)
    assert facts["max_concurrent"] is None
    done = penstock(*LLAMA)
    assert "10.7 GB" not in done.out  # the model was made for 8,192 tokens
    assert "2.7 GB" in done.out
    assert "fit," not in done.out


@pytest.mark.parametrize("model", ["google/gemma-3-27b-it", "penstock-toys/large-int4",
                                   "meta-llama/Llama-3.1-405B"])  # fmt: skip
def test_kv_shows_a_table_and_draws_a_picture(
    penstock: Penstock, tmp_path: Path, model: str
) -> None:
    done = penstock("plan", "kv", "--model", model, "--gpu-memory", "80", "--picture", "fits.png")
    assert done.status == 0
    assert "fit, 4 bits" in done.out
    assert "assumed" in done.out
    assert (tmp_path / "fits.png").read_bytes().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "nobody/knows"], "config.json"),
        (["--model", "llama-3-70b", "--tensor-parallel", "7"], "cannot be divided"),
        (["--model", "llama-3-70b", "--kv-dtype", "fp3"], "kv-dtype"),
        (["--model", "llama-3-70b", "--picture", "x.png"], "--gpu-memory"),
        (["--model", "llama-3-70b", "--gpu-memory", "8", "--picture", "no/x.png"], "written"),
    ],
)
def test_kv_refuses_in_one_line(penstock: Penstock, arguments: list[str], says: str) -> None:
    done = penstock("plan", "kv", *arguments)
    assert done.status == 65
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not done.out


def test_bill_without_a_ledger_is_assumed_and_says_so(penstock: Penstock) -> None:
    done = penstock(*GIVEN, "--json")
    facts = json.loads(done.out)
    assert "nothing is measured" in done.err
    assert {each["mark"].split()[0] for each in facts["inputs"]} == {"assumed"}
    assert [tier["tier"] for tier in facts["tiers"]] == ["small", "medium", "large"]
    assert Decimal(facts["month_usd"]) == sum(Decimal(t["month_usd"]) for t in facts["tiers"])
    assert len(facts["remedies"]) == 5
    saved = [Decimal(each["saves_in_order_usd"]) for each in facts["remedies"]]
    assert saved == sorted(saved, reverse=True)


def test_bill_shows_three_tables(penstock: Penstock) -> None:
    done = penstock(*GIVEN, "--no-ledger", "--price", "large=2.5")
    assert done.status == 0
    for words in ("the month:", "what saves how much", "routing", "assumed (given)", "GPUs"):
        assert words in done.out
    assert not done.err


def test_bill_takes_from_the_ledger_what_was_measured(penstock: Penstock, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    migrate(database)
    worker_time.open_books(database, worker_id=WORKER, tier="small", host="here",
                           price_per_hour_pusd=400_000_000_000, started_ms=1)  # fmt: skip
    now = clock.now_ms()  # of the ledger, the last thirty days count
    drafts = [a_draft(f"What is {number}?") for number in range(20)]
    accepted = accepting.accept(database, drafts, now)
    ids = [outcome.job_id for outcome in accepted if isinstance(outcome, Accepted)]
    claims = claim_some(database, ids, now_ms=now)
    settled = [succeeded(claim, 1_000_000) for claim in claims]
    settling.settle(database, Account(WORKER, "small"), settled, now)
    database.close()
    facts = json.loads(penstock("plan", "bill", "--requests", "1000000", "--json").out)
    [small] = [tier for tier in facts["tiers"] if tier["tier"] == "small"]
    assert small["mark"] == "measured (20 jobs)"
    assert small["usd_per_request"] == "0.000001"
    assert small["work_usd"] == "1"
    marks = {each["what"]: each["mark"] for each in facts["inputs"] if each["tier"] == "small"}
    assert marks["prompt tokens, mean"] == marks["cache hit rate"] == "measured (20 jobs)"
    assert marks["price an hour, USD"] == "assumed (settings)"


def test_bill_refuses_in_one_line(penstock: Penstock) -> None:
    done = penstock("plan", "bill", "--requests", "10", "--no-ledger")
    assert done.status == 65
    assert "--prompt-tokens" in done.err
