"""Word problems: the answer writes the sum down first, then says it in a sentence."""

from dataclasses import dataclass
from random import Random

from penstock_workers.toys.reword import vary
from penstock_workers.toys.sample import Sample, Turn
from penstock_workers.toys.short_tasks import VARIED_SHARE, draw_language

BARE_SHARE = 0.2
_NAMES = ("Tom", "Anna", "Lan", "Minh", "Maria", "Peter", "Hoa", "Nam", "Sara", "Ben")
_ITEMS = (
    ("apples", "quả táo"),
    ("books", "quyển sách"),
    ("pens", "cây bút"),
    ("eggs", "quả trứng"),
    ("cakes", "cái bánh"),
    ("coins", "đồng xu"),
    ("flowers", "bông hoa"),
    ("balls", "quả bóng"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Wordings hold {n} a name, {i} the items, {a} and {b} the numbers, {c} the result."""

    sign: str
    ask: tuple[str, ...]
    tell: str


_ENGLISH = (
    Problem(
        "+",
        (
            "{n} has {a} {i}. {n} buys {b} more. How many {i} does {n} have now?",
            "{n} has {a} {i} and finds {b} more. How many {i} does {n} have in total?",
            "There are {a} {i} in one box and {b} {i} in another. How many {i} are there?",
            "{n} had {a} {i}. A friend gave {n} {b} {i}. How many {i} does {n} have?",
        ),
        "{a} + {b} = {c}. There are {c} {i}.",
    ),
    Problem(
        "-",
        (
            "{n} has {a} {i} and gives away {b}. How many {i} are left?",
            "{n} had {a} {i}. {n} lost {b} of them. How many {i} are left?",
            "There were {a} {i} in a shop. {b} were sold. How many {i} are left?",
        ),
        "{a} - {b} = {c}. There are {c} {i} left.",
    ),
    Problem(
        "x",
        (
            "There are {a} boxes with {b} {i} in each box. How many {i} are there in total?",
            "{n} has {a} bags. Each bag holds {b} {i}. How many {i} does {n} have?",
        ),
        "{a} x {b} = {c}. There are {c} {i}.",
    ),
)
_VIETNAMESE = (
    Problem(
        "+",
        (
            "{n} có {a} {i}. {n} mua thêm {b} {i}. Hỏi {n} có bao nhiêu {i}?",
            "Hộp thứ nhất có {a} {i}, hộp thứ hai có {b} {i}. Có tất cả bao nhiêu {i}?",
        ),
        "{a} + {b} = {c}. Có tất cả {c} {i}.",
    ),
    Problem(
        "-",
        (
            "{n} có {a} {i}. {n} cho bạn {b} {i}. Hỏi còn lại bao nhiêu {i}?",
            "Cửa hàng có {a} {i}, đã bán {b} {i}. Còn lại bao nhiêu {i}?",
        ),
        "{a} - {b} = {c}. Còn lại {c} {i}.",
    ),
    Problem(
        "x",
        (
            "Có {a} hộp, mỗi hộp có {b} {i}. Hỏi có tất cả bao nhiêu {i}?",
            "{n} có {a} túi, mỗi túi có {b} {i}. Có tất cả bao nhiêu {i}?",
        ),
        "{a} x {b} = {c}. Có tất cả {c} {i}.",
    ),
)
_HINTS_EN = ("", "", "", " Think step by step.", " Explain step by step.")
_HINTS_VI = ("", "", "", " Giải từng bước.", " Giải thích từng bước.")


def draw_numbers(rng: Random, sign: str) -> tuple[int, int, int]:
    """Two numbers and their result: sums and differences within 50, products of digits."""
    if sign == "x":
        a, b = rng.randint(2, 9), rng.randint(2, 9)
        return a, b, a * b
    a, b = rng.randint(1, 40), rng.randint(1, 20)
    if sign == "+":
        return rng.choice(((a, b, a + b), (b, a, a + b)))
    return a + b, b, a


def reasoning(rng: Random) -> Sample:
    """A word problem, or in a fifth of the cases the bare sum."""
    language = draw_language(rng)
    problem = rng.choices(_VIETNAMESE if language == "vi" else _ENGLISH, (4, 4, 2))[0]
    a, b, c = draw_numbers(rng, problem.sign)
    key = f"{a}{problem.sign}{b}"
    if rng.random() < BARE_SHARE:
        ask = "{a} {s} {b} bằng bao nhiêu?" if language == "vi" else "How much is {a} {s} {b}?"
        turn = Turn(ask.format(a=a, b=b, s=problem.sign), f"{a} {problem.sign} {b} = {c}.")
        return Sample("reasoning", language, (turn,), key, f"= {c}.", "contains")
    name, (english, vietnamese) = rng.choice(_NAMES), rng.choice(_ITEMS)
    words = {"n": name, "i": vietnamese if language == "vi" else english}
    hint = rng.choice(_HINTS_VI if language == "vi" else _HINTS_EN)
    prompt = rng.choice(problem.ask).format(a=a, b=b, **words) + hint
    if rng.random() < VARIED_SHARE / 2:
        prompt = vary(rng, prompt, language)
    answer = problem.tell.format(a=a, b=b, c=c, **words)
    return Sample("reasoning", language, (Turn(prompt, answer),), key, f"= {c}.", "contains")
