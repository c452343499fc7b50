"""The toys' drills in looking things up."""

from random import Random

from penstock_workers.toys.recall import LEVELS, drill, level_at
from penstock_workers.toys.tokenizer import load_tokenizer


def test_the_levels_follow_each_other_and_a_diet_without_has_none() -> None:
    assert level_at(LEVELS, 0.0) == LEVELS[0]
    assert level_at(LEVELS, 1.0) == LEVELS[-1]
    assert level_at((), 0.5) is None


def test_only_values_that_were_told_before_are_learned() -> None:
    tokenizer, rng = load_tokenizer(), Random(1)
    for level in LEVELS:
        ids, learned = drill(rng, tokenizer, level)
        text = tokenizer.decode([token for token, learn in zip(ids, learned, strict=True) if learn])
        assert text.replace(" ", "").isdigit()
        first = tokenizer.decode(ids[: learned.index(True)])
        assert len(ids) == len(learned)
        assert sum(map(str.isdigit, first)) * 4 >= sum(learned)
