"""Lines are seen as they end, each once, whatever clocks say."""

import pytest

from penstock_producer.batch import following
from penstock_producer.batch.following import Follower
from penstock_producer.batch.line_set import LineSet
from penstock_shared import clock
from penstock_shared.ledger import settling
from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.database import Database
from tests.batches import BATCH, a_loaded_batch, take
from tests.examples import ACCOUNT, NOW, Clock, an_answer, succeeded


def seen(follower: Follower) -> list[int]:
    return [ended.line for page in follower.poll() for ended in page]


def end(database: Database, claim: Claim, now_ms: int) -> None:
    settling.settle(database, ACCOUNT, [succeeded(claim)], now_ms)


def test_a_line_is_seen_once_and_one_with_an_earlier_moment_is_not_missed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_loaded_batch(database, range(1, 6), refusals=[Refusal(6, "x", "invalid_request", "no", None)])
    claims = sorted(take(database), key=lambda claim: claim.request.question)
    now, seconds = NOW, Clock()
    monkeypatch.setattr(clock, "now_ms", Clock(NOW))  # however long the ledger takes
    follower = Follower(database, BATCH, LineSet(), seconds)
    assert seen(follower) == [6]

    end(database, claims[0], now)
    assert seen(follower) == [1]
    assert seen(follower) == []

    end(database, claims[1], now - 1_500)  # another worker's clock, or a slow commit
    assert seen(follower) == [2]

    end(database, claims[2], now - 40_000)
    assert seen(follower) == []
    seconds.now = 11
    assert seen(follower) == [3]

    end(database, claims[3], now - 500_000)
    seconds.now = 22
    assert seen(follower) == []
    assert [e.line for page in follower.everything() for e in page] == [4]


def test_known_lines_are_not_read_again(database: Database) -> None:
    a_loaded_batch(database, range(1, 4))
    for claim in take(database):
        end(database, claim, clock.now_ms())
    known = LineSet()
    known.add(2)
    assert sorted(seen(Follower(database, BATCH, known))) == [1, 3]
    assert list(known) == [1, 2, 3]


def test_long_results_are_read_a_few_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_RESULT_CHARS", 100)
    a_loaded_batch(database, range(1, 41))
    for claim in take(database):
        answer = an_answer("x" * 30)
        settling.settle(database, ACCOUNT, [succeeded(claim, answer=answer)], clock.now_ms())
    pages = list(Follower(database, BATCH, LineSet()).poll())
    assert [len(page) for page in pages] == [10, *[3] * 10]
