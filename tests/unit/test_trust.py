"""A band of hits is open only while its share of wrong ones is proven to be small enough."""

from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_workers.cache.trust import NOTHING, WORDS, Count, Trust, band_of, upper_bound

HERE, THERE = "here", "there"


class Seen(NamedTuple):
    partition: str
    band: str
    agreed: bool


def a_trust(max_false_hit_rate: float = 0.01, strict_threshold: float = 0.8) -> Trust:
    return Trust(max_false_hit_rate=max_false_hit_rate, strict_threshold=strict_threshold)


def show(trust: Trust, partition: str, band: str, *, right: int = 0, wrong: int = 0) -> None:
    trust.learn(Seen(partition, band, agreed=True) for _ in range(right))
    trust.learn(Seen(partition, band, agreed=False) for _ in range(wrong))


@pytest.mark.parametrize(
    ("similarity", "band"),
    [
        (0.2, "0.00"),
        (0.6999, "0.00"),
        (0.7, "0.70"),
        (0.8, "0.80"),
        (0.8999, "0.80"),
        (0.9, "0.90"),
        (0.95, "0.95"),
        (1.0, "0.95"),
    ],
)
def test_rewordings_are_told_apart_by_their_cosine(similarity: float, band: str) -> None:
    assert band_of(similarity, proof=False) == band
    assert band_of(similarity, proof=True) == WORDS


def test_without_evidence_nothing_is_known() -> None:
    assert upper_bound(NOTHING) == 1.0


def test_at_first_only_what_was_measured_before_is_open() -> None:
    trust = a_trust()
    bands = (WORDS, "0.95", "0.90", "0.80", "0.70", "0.00")
    assert [trust.is_open(HERE, band) for band in bands] == [True, True, True, True, False, False]


def test_the_strict_threshold_says_from_where_on_rewordings_were_measured() -> None:
    trust = a_trust(strict_threshold=0.85)
    assert [trust.is_open(HERE, band) for band in ("0.90", "0.80")] == [True, False]


def test_one_wrong_answer_closes_a_band_until_enough_right_ones_open_it() -> None:
    trust = a_trust()
    show(trust, HERE, "0.80", wrong=1)
    assert not trust.is_open(HERE, "0.80")
    assert trust.is_open(HERE, "0.90")
    show(trust, HERE, "0.80", right=171)
    assert not trust.is_open(HERE, "0.80")
    show(trust, HERE, "0.80", right=1)
    assert trust.is_open(HERE, "0.80")


def test_a_wrong_answer_elsewhere_closes_a_measured_band_until_the_whole_tier_disproves_it() -> (
    None
):
    trust = a_trust()
    show(trust, THERE, "0.80", wrong=1)
    assert not trust.is_open(HERE, "0.80")
    show(trust, "third", "0.80", right=172)
    assert trust.is_open(HERE, "0.80")
    assert not trust.is_open(THERE, "0.80")


def test_an_unmeasured_band_opens_on_the_evidence_of_its_own_partition() -> None:
    trust = a_trust()
    show(trust, HERE, "0.70", right=298)
    assert not trust.is_open(HERE, "0.70")
    show(trust, HERE, "0.70", right=1)
    assert trust.is_open(HERE, "0.70")


def test_an_unmeasured_band_opens_on_what_other_partitions_have_shown() -> None:
    trust = a_trust()
    show(trust, THERE, "0.70", right=5_000)
    assert trust.is_open(HERE, "0.70")
    show(trust, HERE, "0.70", wrong=1)
    assert not trust.is_open(HERE, "0.70")
    assert trust.is_open("third", "0.70")


def test_what_is_not_right_in_the_tier_opens_nowhere_without_evidence() -> None:
    trust = a_trust()
    show(trust, THERE, "0.70", right=980, wrong=20)
    assert not trust.is_open(HERE, "0.70")


def test_others_count_for_no_more_than_three_hundred() -> None:
    trust = a_trust(max_false_hit_rate=0.005)
    show(trust, THERE, "0.70", right=50_000)
    assert trust.bound(HERE, "0.70") == upper_bound(Count(300, 0))
    assert not trust.is_open(HERE, "0.70")


@pytest.mark.parametrize("rate", [0.05, 0.01, 0.002])
def test_a_smaller_rate_needs_more_evidence(rate: float) -> None:
    trust = a_trust(max_false_hit_rate=rate)
    needed = 0
    while not trust.is_open(HERE, "0.70"):
        show(trust, HERE, "0.70", right=1)
        needed += 1
    assert needed == pytest.approx(3 / rate, rel=0.03)


def test_the_same_words_bear_a_few_wrong_answers() -> None:
    trust = a_trust()
    show(trust, HERE, WORDS, wrong=20)
    assert trust.is_open(HERE, WORDS)
    show(trust, HERE, WORDS, wrong=20)
    assert not trust.is_open(HERE, WORDS)


def test_a_closed_band_says_what_was_seen_of_it() -> None:
    trust = a_trust()
    show(trust, HERE, "0.70", right=11, wrong=1)
    assert trust.doubt(HERE, "0.70") == "0.70-0.80 is not proven yet (1 of 12 differed)"


def test_memory_is_bounded_and_wrong_answers_are_forgotten_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from penstock_workers.cache import trust as trust_module

    monkeypatch.setattr(trust_module, "_MOST_COUNTS", 100)
    trust = a_trust()
    show(trust, HERE, "0.70", wrong=1)
    for number in range(1_000):
        show(trust, f"chat {number}", "0.70", right=1)
    assert len(trust._counts) <= 101
    assert trust.count(HERE, "0.70").differed == 1
    assert trust.count("chat 999", "0.70").compared == 1
    assert trust.count("chat 1", "0.70").compared == 0


@given(st.lists(st.tuples(st.sampled_from([HERE, THERE]), st.booleans()), max_size=400))
def test_no_band_is_open_against_what_was_seen(seen: list[tuple[str, bool]]) -> None:
    trust = a_trust(max_false_hit_rate=0.05)
    trust.learn(Seen(partition, "0.70", agreed) for partition, agreed in seen)
    own = [agreed for partition, agreed in seen if partition == HERE]
    if trust.is_open(HERE, "0.70"):
        assert upper_bound(Count(len(own) + 300, own.count(False))) <= 0.05
        assert upper_bound(Count(len(seen), [agreed for _, agreed in seen].count(False))) <= 0.05


@pytest.mark.parametrize("partitions", [1, 500])
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.2, 1.0])
def test_in_the_long_run_few_callers_get_a_wrong_answer_however_bad_a_band_turns_out(
    rate: float, partitions: int
) -> None:
    """A bad band is found out after 1/share wrong answers, on average: 50."""
    wrong = [wrong_answers(rate, partitions, Random(seed)) for seed in range(4)]
    assert sum(wrong) / len(wrong) < 100


def wrong_answers(rate: float, partitions: int, random: Random) -> int:
    """How many of 8,000 hits that would be wrong at this rate are served."""
    trust, wrong = a_trust(), 0
    for _ in range(8_000):
        partition, agreed = f"chat {random.randrange(partitions)}", random.random() >= rate
        is_served = trust.is_open(partition, "0.80")
        wrong += is_served and not agreed
        if not is_served or random.random() < 0.02:
            trust.learn([Seen(partition, "0.80", agreed)])
    return wrong
