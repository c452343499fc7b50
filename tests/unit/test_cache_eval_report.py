"""What the cache makes of pairs, and how that is counted and explained."""

import json

import pytest

from penstock_workers.cache.evaluating import counts
from penstock_workers.cache.evaluating.counts import Counts, Point
from penstock_workers.cache.evaluating.judging import Judged, judge
from penstock_workers.cache.evaluating.pairs import read_pairs
from penstock_workers.cache.evaluating.report import Report, reason_class, report_on
from tests.cache_pairs import ScriptedEncoder, Watch, a_judged, by_last_word


def judged(*pairs: tuple[object, object], most: int = 100) -> list[Judged]:
    content = "\n".join(json.dumps({"a": a, "b": b, "same": True}) for a, b in pairs)
    return judge(
        read_pairs(content.encode(), "pairs"),
        ScriptedEncoder(),
        by_last_word,
        max_question_chars=most,
        progress=Watch(),
    )


def turns(system: str, question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def a_report(*found: Judged, threshold: float = 0.9, with_misses: bool = False) -> Report:
    return report_on(
        found,
        threshold=threshold,
        bare_threshold=0.95,
        encoder="scripted",
        with_misses=with_misses,
    )


def test_a_pair_has_its_cosine_and_the_verifiers_word() -> None:
    near, far = judged(("q0 x", "q60 x"), ("q0 x", "q0 y"))
    assert near.similarity == pytest.approx(0.5)
    assert (near.accepted, near.reason) == (True, "same last word")
    assert far.similarity == pytest.approx(1)
    assert (far.accepted, far.reason) == (False, "differ in x, y")


def test_equal_prompts_need_no_encoder_and_no_verifier() -> None:
    (one,) = judged(("not for the encoder", "not  for the encoder "))
    assert (one.similarity, one.accepted, one.reason) == (1.0, True, "the same prompt")


def test_pairs_with_other_turns_before_are_never_compared() -> None:
    other, same = judged(
        (turns("Be brief.", "q0 x"), turns("Rhyme.", "q0 x")),
        (turns("Rhyme.", "q0 x"), turns("Rhyme.", "q0 a x")),
    )
    assert (other.similarity, other.accepted) == (None, False)
    assert other.reason == "another system prompt or earlier turn"
    assert not counts.is_hit(other, counts.bare, -1)
    assert same.accepted


def test_long_questions_are_looked_up_exactly_only() -> None:
    long, equal = judged(("q0 x", "q0 aaaaaaa x"), ("q0 aaaaaaa x", "q0 aaaaaaa x"), most=10)
    assert (long.accepted, long.reason) == (False, "a question longer than 10 characters")
    assert equal.accepted


def test_a_question_is_encoded_once_and_progress_reaches_the_end() -> None:
    pairs = read_pairs(b'{"a": "q1 x", "b": "q2 x", "same": true}\n' * 300, "pairs")
    encoder, watch = ScriptedEncoder(), Watch()
    judge(pairs, encoder, by_last_word, max_question_chars=100, progress=watch)
    assert encoder.encoded == ["q1 x", "q2 x"]
    assert watch.told[:2] == [("encoding", 2, 0), ("encoding", 2, 2)]
    assert watch.told[2:] == [("verifying", 300, done) for done in (0, 256, 300)]


def test_hits_need_both_nearness_and_the_verifier() -> None:
    found = [
        a_judged(0.9),
        a_judged(0.89),
        a_judged(0.99, accepted=False),
        a_judged(0.96, same=False),
        a_judged(0.97, same=False, accepted=False),
        a_judged(None, accepted=False),
    ]
    assert counts.count(found, counts.ours, 0.9) == Counts(pairs=6, same=4, right=1, wrong=1)
    assert counts.count(found, counts.bare, 0.95) == Counts(pairs=6, same=4, right=1, wrong=2)


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    # Newcombe 1998, table I, method 5: 81 of 263 and 15 of 148.
    assert Counts(263, 200, 81, 182).interval == pytest.approx((0.2527, 0.3676), abs=1e-4)
    assert Counts(148, 100, 15, 133).interval == pytest.approx((0.0578, 0.1617), abs=1e-4)
    # No failure in n leaves (alpha / 2) ** (1 / n).
    assert Counts(20, 20, 20, 0).interval == pytest.approx((0.025 ** (1 / 20), 1))


def test_shares_without_a_base_are_unknown() -> None:
    nothing = a_report(a_judged(0.1, same=False))
    assert nothing.precision is nothing.precision_low is nothing.precision_high is None
    assert nothing.recall is None
    assert a_report(a_judged(0.1)).recall == 0


def test_the_sweep_has_a_point_for_each_cosine() -> None:
    found = [
        a_judged(0.9),
        a_judged(0.9, same=False, accepted=False),
        a_judged(0.5),
        a_judged(0.4, accepted=False),
        a_judged(None, accepted=False),
    ]
    assert counts.sweep(found, counts.ours) == [Point(0.9, 0.25, 1), Point(0.5, 0.5, 1)]
    assert counts.sweep(found, counts.bare) == [
        Point(0.9, 0.25, 0.5),
        Point(0.5, 0.5, 2 / 3),
        Point(0.4, 0.75, 0.75),
    ]
    assert counts.sweep([a_judged(0.9, same=False)], counts.ours) == []


def test_wrong_hits_come_with_their_line_and_reason() -> None:
    report = a_report(a_judged(0.96, same=False, kind="date", line=7), a_judged(0.96))
    (wrong,) = report.wrong_hits
    assert wrong.model_dump() == {
        "line": 7, "a": "one", "b": "other", "similarity": 0.96, "reason": "because",
        "kind": "date", "language": None,
    }  # fmt: skip
    assert [case.reason for case in report.bare.wrong_hits] == ["cosine from 0.95"]
    assert {name: part.wrong for name, part in report.by_kind.items()} == {"(none)": 0, "date": 1}
    assert report.by_language == {}


def test_misses_are_counted_by_reason_and_listed_on_demand() -> None:
    found = (
        a_judged(0.99, accepted=False, reason="differ in 4, 5"),
        a_judged(0.5, accepted=False, reason="differ in a, b"),
        a_judged(0.5),
        a_judged(None, accepted=False, reason="another system prompt or earlier turn"),
        a_judged(0.5, same=False),
    )
    report = a_report(*found, with_misses=True)
    assert a_report(*found).misses is None
    assert {name: tuple(dict(reason).values()) for name, reason in report.miss_reasons.items()} == {
        "differ": (2, 1),
        "cosine below 0.9": (1, 0),
        "another system prompt or earlier turn": (1, 0),
    }
    assert report.misses is not None
    assert [case.reason for case in report.misses] == [
        "differ in 4, 5",
        "cosine below 0.9, and differ in a, b",
        "cosine below 0.9, else a hit",
        "another system prompt or earlier turn",
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("differ in 4, 5", "differ"),
        ("the order of words differs", "the order of words differs"),
        ("another number: 4, 5", "another number"),
        ("a name in “one” only", "a name in"),
        ("5 is a number", "5 is a number"),
    ],
)
def test_a_class_is_the_reason_without_its_particulars(reason: str, expected: str) -> None:
    assert reason_class(reason) == expected
