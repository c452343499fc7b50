"""The traffic of a ledger, on each kind of database."""

from penstock_shared.ledger import settling, worker_time
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.settling import Settlement
from penstock_shared.ledger.traffic import (
    Answered,
    Arrivals,
    EngineWork,
    Traffic,
    Waste,
    read_traffic,
)
from penstock_shared.words import JobState, Source
from tests.examples import ACCOUNT, NOW, WORKER, accept_some, an_answer, claim_some, succeeded


def open_books(database: Database) -> None:
    worker_time.open_books(
        database,
        worker_id=WORKER,
        tier="small",
        host="here",
        price_per_hour_pusd=4 * 10**12,
        started_ms=NOW,
    )


def test_an_empty_ledger_has_no_traffic(database: Database) -> None:
    assert read_traffic(database, 0) == Traffic((), (), (), None)


def test_sums_are_of_what_engines_answered(database: Database) -> None:
    open_books(database)
    claims = claim_some(database, accept_some(database, 5))
    answers = [
        an_answer(prompt_tokens=7, completion_tokens=5),
        an_answer(prompt_tokens=100, completion_tokens=10, prefill_ms=30, decode_ms=70),
        an_answer(quantization="fp8"),
        an_answer(source=Source.EXACT, prompt_tokens=7, completion_tokens=5),
    ]
    settled = [
        succeeded(claim, cost, answer=answer)
        for claim, cost, answer in zip(claims, (1_000, 9_000, 500, 0), answers, strict=False)
    ]
    settled.append(Settlement(claims[4], JobState.FAILED, 300, error="too long"))
    settling.settle(database, ACCOUNT, settled, NOW)
    traffic = read_traffic(database, NOW)
    assert traffic.answered == (Answered("small", 4, 3),)
    assert traffic.work == (
        EngineWork("small", 4 * 10**12, False, False, 2, 10_000, 107, 15, 49 + 10_000,
                   35 + 1_000, 25 + 100, 50, 80),
        EngineWork("small", 4 * 10**12, True, False, 1, 500, 7, 5, 49, 35, 25, 20, 10),
    )  # fmt: skip
    assert traffic.waste == (Waste("small", 10_500, 300),)
    assert traffic.arrivals == Arrivals(5, NOW, NOW, 5)
    assert read_traffic(database, NOW + 1).answered == ()


def test_sums_of_large_squares_are_whole(database: Database) -> None:
    open_books(database)
    claims = claim_some(database, accept_some(database, 3))
    answer = an_answer(prompt_tokens=1_000_000, completion_tokens=1_000_000)
    settling.settle(
        database, ACCOUNT, [succeeded(claim, 1, answer=answer) for claim in claims], NOW
    )
    [work] = read_traffic(database, 0).work
    assert work.prompt_squared == work.prompt_times_output == 3 * 10**12
    assert isinstance(work.prompt_squared, int)


def test_embeddings_are_no_answers_of_the_cache(database: Database) -> None:
    open_books(database)
    claims = claim_some(database, accept_some(database, 2))
    answers = [an_answer(), an_answer(source=Source.ENCODER)]
    settled = [
        succeeded(claim, 0, answer=answer) for claim, answer in zip(claims, answers, strict=True)
    ]
    settling.settle(database, ACCOUNT, settled, NOW)
    assert read_traffic(database, NOW).answered == (Answered("small", 1, 1),)
