"""Two answers say the same, or the cache's was wrong."""

import pytest

from penstock_workers.cache.comparison import agree


def never(_one: str, _other: str) -> float:
    raise AssertionError("these need no encoder")


def as_alike(cosine: float | None, one: str, other: str) -> bool:
    return agree(one, other, likeness=lambda _one, _other: cosine, least=0.9)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris."),
        ("Paris.", "  **Paris**\n"),
        ("Yes, it is!", "yes it is"),
        ("A dam\nholds water.", "a dam holds  water"),
        ("“Phở” là món ăn.", "phở là món ăn"),
        ("", " "),
    ],
)
def test_case_blanks_and_punctuation_around_words_do_not_count(one: str, other: str) -> None:
    assert agree(one, other, likeness=never, least=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is 5 km long.", "It is 6 km long."),
        ("It is 1.5 km long.", "It is 15 km long."),
        ("It was minus: -3", "It was minus: 3"),
        ("Two of 12.", "Two of 12, and 3 more."),
        ("It has 1,000 people.", "It has 1,001 people."),
        ("Version 1.2.3", "Version 1.2.4"),
        ("Yes, it is.", "No, it is not."),
        ("No.", "Yes, by all means."),
        ("Có, đúng vậy.", "Không, không phải."),
        ("Đúng.", "Sai."),
        ("It is legal.", "It is not legal."),
        ("You should take it.", "You shouldn’t take it."),
        ("Được phép.", "Chưa được phép."),
        ("Romeo loves Juliet.", "Juliet loves Romeo."),
    ],
)
def test_what_an_encoder_cannot_tell_apart_differs_however_alike(one: str, other: str) -> None:
    assert not agree(one, other, likeness=never, least=0.1)
    assert not agree(other, one, likeness=never, least=0.1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It has 1,000 people.", "The people number 1000."),
        ("It weighs 2.50 kg.", "2.5 kg is its weight."),
        ("Yes, Paris.", "Paris is it."),
        ("It is 5!", "It is 5"),
        ("Yes, Paris.", "Yes, it is the city of Paris."),
    ],
)
def test_other_wordings_are_left_to_the_encoder(one: str, other: str) -> None:
    assert as_alike(0.9, one, other)
    assert not as_alike(0.89, one, other)


def test_without_an_encoder_other_wordings_differ() -> None:
    assert not as_alike(None, "Paris", "The city of Paris")


@pytest.mark.parametrize(
    ("one", "other"), [("a*b", "a/b"), ("x = 1", "x != 1"), ("!a", "a"), (".5", "5")]
)
def test_punctuation_inside_of_words_counts(one: str, other: str) -> None:
    assert not as_alike(0.5, one, other)
