"""Which answers count as right."""

import pytest

from penstock_workers.evals.checking import Verdict, check, check_judgement, code_of, last_number
from penstock_workers.evals.suite import Contains, Exact, Judge, Numeric, Regex


@pytest.mark.parametrize(
    ("checker", "answer", "right"),
    [
        (Exact(type="exact", expected="Hà Nội"), " Hà Nội\n", True),
        (Exact(type="exact", expected="Hà Nội"), "hà nội", False),
        (Contains(type="contains", expected="hanoi"), "It is Hanoi.", True),
        (Contains(type="contains", expected="Huế"), "It is Hanoi.", False),
        (Numeric(type="numeric", expected=12), "5 + 7 = 12. There are 12 apples.", True),
        (Numeric(type="numeric", expected=12), "5 + 7 = 12, so 13.", False),
        (Numeric(type="numeric", expected=1234.5), "It costs $1,234.50", True),
        (Numeric(type="numeric", expected=-3), "the rest is -3", True),
        (Numeric(type="numeric", expected=3.14, tolerance=0.01), "about 3.15", True),
        (Numeric(type="numeric", expected=3.14, tolerance=0.001), "about 3.15", False),
        (Numeric(type="numeric", expected=0), "none", False),
        (Regex(type="regex", pattern=r"^\d{4}$"), "1945", True),
        (Regex(type="regex", pattern=r"^\d{4}$"), "in 1945", False),
    ],
)
def test_a_checker_reads_an_answer(checker, answer, right):
    assert check(checker, answer).right is right


def test_a_wrong_answer_says_why():
    assert check(Numeric(type="numeric", expected=12), "13").why == "13, not 12"
    assert check(Contains(type="contains", expected="Huế"), "x").why == "'Huế' is not in it"


def test_criteria_of_a_judge_are_not_checked_without_the_judge():
    with pytest.raises(ValueError, match="judge"):
        check(Judge(type="judge", criteria="polite"), "hello")


@pytest.mark.parametrize(
    ("judgement", "right"),
    [("Yes.", True), ("**No**, because yes is rare", False), ("no", False), ("YES", True)],
)
def test_the_first_yes_or_no_of_a_judge_counts(judgement, right):
    assert check_judgement(judgement).right is right


def test_a_judge_who_says_neither_does_not_pass_an_answer():
    assert check_judgement("Nothing to say.") == Verdict(
        right=False, why="the judge said neither yes nor no"
    )


def test_code_is_taken_out_of_its_fences():
    assert code_of("Here:\n```python\nx = 1\n```\nand\n```\ny = 2\n```") == "x = 1\n\n\ny = 2\n"
    assert code_of("```python\nx = 1") == "x = 1"
    assert code_of("def f(): return 1") == "def f(): return 1"


def test_the_last_number_may_have_thousands_and_an_exponent():
    assert last_number("first 3, then 12,345.6") == 12345.6
    assert last_number("2e3") == 2000
    assert last_number("nothing") is None
