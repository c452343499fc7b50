"""Families of Python functions with numbers in them, some numbers never trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from penstock_workers.toys.snippets import Snippet, snippet

# From 2, since a number as trivial as 0 or 1 makes another function right too.
DIGIT, ITEMS, TENS, LARGE = (2, 9), (2, 12), (2, 20), (2, 99)
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Family:
    """Wordings, code and tests hold {a}, some {b} too, which is above {a} where `rising`."""

    does_en: str
    does_vi: str
    code: str
    tests: str
    a: Range
    b: Range | None = None
    rising: bool = False

    def pairs(self) -> Iterator[tuple[int, int]]:
        """All numbers that the family is made with."""
        for a in range(self.a[0], self.a[1] + 1):
            low, high = self.b or (0, 0)
            for b in range(low, high + 1):
                if b > a or not self.rising:
                    yield a, b

    def make(self, a: int, b: int) -> Snippet:
        """The function with these numbers."""
        parts = (self.code, self.does_en, self.does_vi, self.tests)
        return snippet(*(part.format(a=a, b=b) for part in parts))


def draw_function(rng: Random) -> Snippet:
    """A function of some family, with some numbers."""
    family = rng.choice(FAMILIES)
    return family.make(*rng.choice(tuple(family.pairs())))


FAMILIES = (
    Family(
        "multiplies a number by {a}|returns a number times {a}",
        "nhân một số với {a}|trả về một số nhân với {a}",
        "def multiply(n):\n    return n * {a}",
        "multiply(1) == {a}|multiply(10) == {a} * 10|multiply(-3) == -3 * {a}",
        LARGE,
    ),
    Family(
        "adds {a} to a number|increases a number by {a}",
        "cộng {a} vào một số|tăng một số thêm {a}",
        "def increase(n):\n    return n + {a}",
        "increase(0) == {a}|increase(7) == {a} + 7|increase(-{a}) == 0",
        LARGE,
    ),
    Family(
        "subtracts {a} from a number|decreases a number by {a}",
        "trừ một số đi {a}|giảm một số đi {a}",
        "def decrease(n):\n    return n - {a}",
        "decrease({a}) == 0|decrease(100) == 100 - {a}|decrease(0) == -{a}",
        LARGE,
    ),
    Family(
        "divides a number by {a}|returns a number divided by {a}",
        "chia một số cho {a}|trả về một số chia cho {a}",
        "def divide(n):\n    return n / {a}",
        "divide({a}) == 1|divide({a} * 6) == 6|divide(1) == 1 / {a}",
        LARGE,
    ),
    Family(
        "returns the remainder of a number divided by {a}|returns a number modulo {a}",
        "tính phần dư của một số khi chia cho {a}|trả về số dư của phép chia cho {a}",
        "def remainder(n):\n    return n % {a}",
        "remainder({a}) == 0|remainder({a} * 3 + 1) == 1|remainder({a} - 1) == {a} - 1",
        TENS,
    ),
    Family(
        "checks if a number is divisible by {a}|tells whether a number is a multiple of {a}",
        "kiểm tra một số có chia hết cho {a} không|kiểm tra số chia hết cho {a}",
        "def is_divisible(n):\n    return n % {a} == 0",
        "is_divisible({a})|is_divisible({a} * 7)|not is_divisible({a} * 7 + 1)|is_divisible(0)",
        TENS,
    ),
    Family(
        "checks if a number is greater than {a}|tells whether a number is more than {a}",
        "kiểm tra một số có lớn hơn {a} không|kiểm tra số lớn hơn {a}",
        "def is_greater(n):\n    return n > {a}",
        "is_greater({a} + 1)|not is_greater({a})|not is_greater({a} - 1)",
        LARGE,
    ),
    Family(
        "checks if a number is less than {a}|tells whether a number is below {a}",
        "kiểm tra một số có nhỏ hơn {a} không|kiểm tra số nhỏ hơn {a}",
        "def is_less(n):\n    return n < {a}",
        "is_less({a} - 1)|not is_less({a})|not is_less({a} + 1)",
        LARGE,
    ),
    Family(
        "checks if a number is between {a} and {b}|tells whether a number is from {a} to {b}",
        "kiểm tra một số có từ {a} đến {b} không|kiểm tra số nằm giữa {a} và {b}",
        "def is_between(n):\n    return {a} <= n <= {b}",
        "is_between({a})|is_between({b})|not is_between({a} - 1)|not is_between({b} + 1)",
        TENS,
        LARGE,
        rising=True,
    ),
    Family(
        "limits a number to the range from {a} to {b}|clamps a number between {a} and {b}",
        "giới hạn một số trong khoảng từ {a} đến {b}|giữ một số trong khoảng {a} đến {b}",
        "def clamp(n):\n    return max({a}, min(n, {b}))",
        "clamp({a} - 1) == {a}|clamp({b} + 1) == {b}|clamp({b}) == {b}|clamp({a} + 1) == {a} + 1",
        TENS,
        LARGE,
        rising=True,
    ),
    Family(
        "returns the first {a} items of a list|takes the first {a} items of a list",
        "trả về {a} phần tử đầu tiên của danh sách|lấy {a} phần tử đầu của danh sách",
        "def first_items(items):\n    return items[:{a}]",
        "first_items(list(range(30))) == list(range({a}))|first_items([5]) == [5]",
        ITEMS,
    ),
    Family(
        "returns the last {a} items of a list|takes the last {a} items of a list",
        "trả về {a} phần tử cuối của danh sách|lấy {a} phần tử cuối của danh sách",
        "def last_items(items):\n    return items[-{a}:]",
        "last_items(list(range(30))) == list(range(30 - {a}, 30))|last_items([5]) == [5]",
        ITEMS,
    ),
    Family(
        "skips the first {a} items of a list|removes the first {a} items of a list",
        "bỏ {a} phần tử đầu tiên của danh sách|bỏ qua {a} phần tử đầu của danh sách",
        "def skip_items(items):\n    return items[{a}:]",
        "skip_items(list(range(30))) == list(range({a}, 30))|skip_items([5]) == []",
        ITEMS,
    ),
    Family(
        "returns every {a}th item of a list, from the first on",
        "trả về mỗi phần tử thứ {a} của danh sách, kể từ đầu",
        "def every_item(items):\n    return items[::{a}]",
        "every_item(list(range(30))) == list(range(0, 30, {a}))|every_item([5]) == [5]",
        (4, 12),
    ),
    Family(
        "returns the first {a} letters of a string|takes the first {a} letters of a text",
        "trả về {a} chữ cái đầu của chuỗi|lấy {a} chữ cái đầu tiên của chuỗi",
        "def first_letters(text):\n    return text[:{a}]",
        "first_letters('abcdefghijklmnop') == 'abcdefghijklmnop'[:{a}]|first_letters('x') == 'x'",
        ITEMS,
    ),
    Family(
        "returns the last {a} letters of a string|takes the last {a} letters of a text",
        "trả về {a} chữ cái cuối của chuỗi|lấy {a} chữ cái cuối cùng của chuỗi",
        "def last_letters(text):\n    return text[-{a}:]",
        "last_letters('abcdefghijklmnop') == 'abcdefghijklmnop'[-{a}:]|last_letters('x') == 'x'",
        ITEMS,
    ),
    Family(
        "repeats a text {a} times|returns a string repeated {a} times",
        "lặp lại một chuỗi {a} lần|trả về chuỗi lặp lại {a} lần",
        "def repeat(text):\n    return text * {a}",
        "repeat('ab') == 'ab' * {a}|len(repeat('x')) == {a}",
        TENS,
    ),
    Family(
        "checks if a text has more than {a} letters|tells whether a text is longer than {a}",
        "kiểm tra chuỗi có dài hơn {a} không|kiểm tra chuỗi có nhiều hơn {a} chữ cái không",
        "def is_long(text):\n    return len(text) > {a}",
        "is_long('x' * ({a} + 1))|not is_long('x' * {a})|not is_long('')",
        TENS,
    ),
    Family(
        "keeps the words longer than {a} letters|returns the words with more than {a} letters",
        "giữ lại các từ dài hơn {a} chữ cái|trả về các từ có nhiều hơn {a} chữ cái",
        "def long_words(words):\n    return [word for word in words if len(word) > {a}]",
        "long_words(['x', 'y' * {a}, 'z' * ({a} + 1)]) == ['z' * ({a} + 1)]|long_words([]) == []",
        ITEMS,
    ),
    Family(
        "raises a number to the power of {a}|returns a number to the power of {a}",
        "tính lũy thừa bậc {a} của một số|trả về lũy thừa {a} của một số",
        "def power(n):\n    return n ** {a}",
        "power(2) == 2 ** {a}|power(1) == 1|power(3) == 3 ** {a}",
        (3, 20),
    ),
    Family(
        "adds {a} to a number and multiplies the result by {b}",
        "cộng {a} vào một số rồi nhân kết quả với {b}",
        "def add_then_multiply(n):\n    return (n + {a}) * {b}",
        "add_then_multiply(0) == {a} * {b}|add_then_multiply(1) == (1 + {a}) * {b}",
        TENS,
        TENS,
    ),
    Family(
        "multiplies a number by {a} and adds {b} to the result",
        "nhân một số với {a} rồi cộng {b} vào kết quả",
        "def multiply_then_add(n):\n    return n * {a} + {b}",
        "multiply_then_add(0) == {b}|multiply_then_add(10) == 10 * {a} + {b}",
        TENS,
        TENS,
    ),
    Family(
        "keeps the numbers greater than {a}|returns the numbers of a list above {a}",
        "giữ lại các số lớn hơn {a}|lọc các số lớn hơn {a} trong danh sách",
        "def keep_greater(numbers):\n    return [n for n in numbers if n > {a}]",
        "keep_greater([{a} - 1, {a}, {a} + 1, 200]) == [{a} + 1, 200]|keep_greater([]) == []",
        LARGE,
    ),
    Family(
        "counts the numbers less than {a}|counts how many numbers of a list are below {a}",
        "đếm các số nhỏ hơn {a}|đếm các số nhỏ hơn {a} trong danh sách",
        "def count_less(numbers):\n    return sum(n < {a} for n in numbers)",
        "count_less([{a} - 1, {a}, {a} + 1, 0]) == 2|count_less([]) == 0",
        LARGE,
    ),
    Family(
        "adds {a} to every number of a list|increases all numbers of a list by {a}",
        "cộng {a} vào mỗi số trong danh sách|tăng mọi số trong danh sách thêm {a}",
        "def increase_all(numbers):\n    return [n + {a} for n in numbers]",
        "increase_all([0, 5]) == [{a}, 5 + {a}]|increase_all([]) == []",
        LARGE,
    ),
    Family(
        "returns the first {a} multiples of a number|lists the first {a} multiples of a number",
        "trả về {a} bội số đầu tiên của một số|liệt kê {a} bội số đầu của một số",
        "def multiples(n):\n    return [n * i for i in range(1, {a} + 1)]",
        "multiples(1) == list(range(1, {a} + 1))|multiples(3)[-1] == 3 * {a}",
        TENS,
    ),
    Family(
        "sums the numbers from 1 to {a}|adds up all numbers from 1 to {a}",
        "tính tổng các số từ 1 đến {a}|cộng tất cả các số từ 1 đến {a}",
        "def sum_up():\n    total = 0\n    for i in range({a} + 1):\n        total += i\n"
        "    return total",
        "sum_up() == {a} * ({a} + 1) // 2",
        LARGE,
    ),
    Family(
        "doubles a number {a} times|multiplies a number by two {a} times",
        "nhân đôi một số {a} lần|gấp đôi một số {a} lần",
        "def double(n):\n    for _ in range({a}):\n        n *= 2\n    return n",
        "double(1) == 2 ** {a}|double(3) == 3 * 2 ** {a}|double(0) == 0",
        TENS,
    ),
    Family(
        "splits a list into parts of {a} items|cuts a list into parts of {a} items",
        "chia danh sách thành các phần {a} phần tử|cắt danh sách thành các đoạn {a} phần tử",
        "def split(items):\n    return [items[i : i + {a}] for i in range(0, len(items), {a})]",
        "split([0] * {a} + [1]) == [[0] * {a}, [1]]|split([]) == []",
        ITEMS,
    ),
)
