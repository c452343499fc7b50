"""Lines with one long beginning get one rank, that of the first of them."""

from penstock_producer.batch.prefixes import Prefixes
from penstock_shared.request import Request

LONG = "Bạn là trợ lý của một thư viện. " * 10
BOOK = "Ngày xưa có một con sông. " * 100


def asked(prompt: str, system: str | None = None) -> Request:
    turns = [{"role": "system", "content": system}] if system else []
    return Request.build([*turns, {"role": "user", "content": prompt}])


def test_a_line_without_a_long_beginning_keeps_its_place() -> None:
    prefixes = Prefixes()
    ranks = [prefixes.rank(n, "small", asked("Xin chào", "Ngắn gọn.")) for n in (3, 4, 9)]
    assert ranks == [3, 4, 9]


def test_lines_with_one_system_text_stand_with_the_first() -> None:
    prefixes = Prefixes()
    ranks = [prefixes.rank(n, "small", asked(f"Câu {n}", LONG)) for n in (2, 5)]
    assert [*ranks, prefixes.rank(6, "small", asked("Câu", LONG + "!"))] == [2, 2, 6]


def test_lines_about_one_long_text_stand_together_whatever_its_end_says() -> None:
    prefixes = Prefixes()
    ranks = [prefixes.rank(n, "small", asked(BOOK + str(n))) for n in (1, 2)]
    other = prefixes.rank(3, "small", asked("Khác. " + BOOK))
    with_system = prefixes.rank(4, "small", asked(BOOK, LONG))
    assert [*ranks, other, with_system] == [1, 1, 3, 4]


def test_engines_of_two_tiers_share_no_prefix() -> None:
    prefixes = Prefixes()
    tiers = ("small", "large", "small")
    ranks = [prefixes.rank(n, tier, asked("?", LONG)) for n, tier in enumerate(tiers)]
    assert ranks == [0, 1, 0]


def test_the_prefix_that_was_used_longest_ago_is_forgotten() -> None:
    prefixes = Prefixes(max_keys=2)
    order = ["a", "b", "a", "c", "a", "b"]
    ranks = [prefixes.rank(n, "small", asked("?", LONG + name)) for n, name in enumerate(order)]
    assert ranks == [0, 1, 0, 3, 0, 5]
