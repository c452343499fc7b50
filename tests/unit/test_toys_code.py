"""The toys' functions: right code passes its tests, the same with another number does not."""

from random import Random

import pytest

from penstock_workers.toys.functions import FAMILIES, Family, draw_function
from penstock_workers.toys.sample import split_of
from penstock_workers.toys.snippets import SNIPPETS, Snippet


def passes(code: str, tests: str) -> bool:
    try:
        exec(f"{code}\n{tests}", {})
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.code.split("(")[0])
def test_every_snippet_passes_its_tests(snippet: Snippet) -> None:
    assert passes(snippet.code, snippet.tests)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.code.split("(")[0])
def test_a_family_tells_its_numbers_apart(family: Family) -> None:
    rng = Random(5)
    pairs = list(family.pairs())
    for a, b in rng.sample(pairs, min(30, len(pairs))):
        made = family.make(a, b)
        assert passes(made.code, made.tests)
        swapped = (b, a) if family.b else (a + 2, b)
        for other in {(a + 1, b), (a - 1, b), (a, b + 1), swapped} - {(a, b)}:
            wrong = family.make(*other)
            assert wrong.code == made.code or not passes(wrong.code, made.tests)


def test_no_two_functions_have_one_wording() -> None:
    wordings = [word for family in FAMILIES for word in family.does_en.split("|")]
    wordings += [word for family in FAMILIES for word in family.does_vi.split("|")]
    assert len(set(wordings)) == len(wordings)


def test_some_functions_are_held_out() -> None:
    rng = Random(0)
    drawn = [split_of(draw_function(rng).code) for _ in range(600)]
    assert 20 <= drawn.count("test") <= 90
