"""Python functions that the toys can write, each with wordings of what it does."""

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Snippet:
    """A function, wordings of what it does that follow "a Python function that", and its tests.

    The tests are statements to run after the code; a function that is a little wrong fails them.
    """

    code: str
    does_en: tuple[str, ...]
    does_vi: tuple[str, ...]
    tests: str


def snippet(code: str, english: str, vietnamese: str, tests: str, set_up: str = "") -> Snippet:
    """A snippet from wordings and from expressions that must be true, all split at "|"."""
    asserts = "\n".join(f"assert {claim}" for claim in tests.split("|"))
    wordings = (tuple(english.split("|")), tuple(vietnamese.split("|")))
    return Snippet(dedent(code).strip(), *wordings, f"{set_up}{asserts}")


SNIPPETS = (
    snippet(
        """
        def add(a, b):
            return a + b
        """,
        "adds two numbers|returns the sum of two numbers",
        "cộng hai số|tính tổng hai số",
        "add(2, 3) == 5|add(-4, 4) == 0|add(0, 7) == 7",
    ),
    snippet(
        """
        def is_even(n):
            return n % 2 == 0
        """,
        "checks if a number is even|tells whether a number is even",
        "kiểm tra số chẵn|kiểm tra một số có chẵn không",
        "is_even(4)|is_even(0)|not is_even(7)|is_even(-2)",
    ),
    snippet(
        """
        def is_odd(n):
            return n % 2 == 1
        """,
        "checks if a number is odd|tells whether a number is odd",
        "kiểm tra số lẻ|kiểm tra một số có lẻ không",
        "is_odd(3)|not is_odd(0)|not is_odd(8)|is_odd(-1)",
    ),
    snippet(
        """
        def square(n):
            return n * n
        """,
        "returns the square of a number|squares a number",
        "tính bình phương của một số|trả về bình phương của một số",
        "square(3) == 9|square(-4) == 16|square(0) == 0",
    ),
    snippet(
        """
        def reverse(text):
            return text[::-1]
        """,
        "reverses a string|returns a string backwards",
        "đảo ngược chuỗi|đảo ngược một chuỗi",
        "reverse('abc') == 'cba'|reverse('') == ''",
    ),
    snippet(
        """
        def is_palindrome(text):
            return text == text[::-1]
        """,
        "checks if a string is a palindrome|tells whether a word is a palindrome",
        "kiểm tra chuỗi đối xứng|kiểm tra một từ có đối xứng không",
        "is_palindrome('level')|is_palindrome('abba')|not is_palindrome('abca')",
    ),
    snippet(
        """
        def largest(numbers):
            return max(numbers)
        """,
        "finds the largest number in a list|returns the maximum of a list",
        "tìm số lớn nhất trong danh sách|trả về giá trị lớn nhất của danh sách",
        "largest([3, 9, 2]) == 9|largest([-5, -2]) == -2",
    ),
    snippet(
        """
        def smallest(numbers):
            return min(numbers)
        """,
        "finds the smallest number in a list|returns the minimum of a list",
        "tìm số nhỏ nhất trong danh sách|trả về giá trị nhỏ nhất của danh sách",
        "smallest([3, 9, 2]) == 2|smallest([-5, -2]) == -5",
    ),
    snippet(
        """
        def total(numbers):
            return sum(numbers)
        """,
        "sums a list of numbers|returns the sum of a list",
        "tính tổng một danh sách|tính tổng các số trong danh sách",
        "total([1, 2, 3]) == 6|total([]) == 0|total([-4, 1]) == -3",
    ),
    snippet(
        """
        def average(numbers):
            return sum(numbers) / len(numbers)
        """,
        "computes the average of a list|returns the mean of a list of numbers",
        "tính trung bình cộng của danh sách|tính giá trị trung bình của danh sách",
        "average([1, 2, 6]) == 3|average([1, 2]) == 1.5",
    ),
    snippet(
        """
        def factorial(n):
            result = 1
            for i in range(2, n + 1):
                result *= i
            return result
        """,
        "computes the factorial of a number|returns the factorial of n",
        "tính giai thừa|tính giai thừa của n",
        "factorial(5) == 120|factorial(1) == 1|factorial(0) == 1",
    ),
    snippet(
        """
        def fibonacci(n):
            a, b = 0, 1
            for _ in range(n):
                a, b = b, a + b
            return a
        """,
        "computes the nth Fibonacci number|returns the nth Fibonacci number",
        "tính số Fibonacci thứ n|trả về số Fibonacci thứ n",
        "fibonacci(1) == 1|fibonacci(2) == 1|fibonacci(10) == 55",
    ),
    snippet(
        """
        def is_prime(n):
            if n < 2:
                return False
            for i in range(2, int(n**0.5) + 1):
                if n % i == 0:
                    return False
            return True
        """,
        "checks if a number is prime|tells whether a number is prime",
        "kiểm tra số nguyên tố|kiểm tra một số có phải số nguyên tố không",
        "is_prime(2)|is_prime(13)|not is_prime(1)|not is_prime(9)|not is_prime(49)",
    ),
    snippet(
        """
        def gcd(a, b):
            while b:
                a, b = b, a % b
            return a
        """,
        "finds the greatest common divisor of two numbers|computes the gcd of two numbers",
        "tìm ước chung lớn nhất|tính ước chung lớn nhất của hai số",
        "gcd(12, 18) == 6|gcd(7, 5) == 1|gcd(9, 3) == 3",
    ),
    snippet(
        """
        def count_vowels(text):
            return sum(c in "aeiou" for c in text.lower())
        """,
        "counts the vowels in a string|returns the number of vowels in a text",
        "đếm nguyên âm trong chuỗi|đếm số nguyên âm của một chuỗi",
        "count_vowels('banana') == 3|count_vowels('OUI') == 3|count_vowels('xyz') == 0",
    ),
    snippet(
        """
        def count_words(text):
            return len(text.split())
        """,
        "counts the words in a string|returns the number of words in a text",
        "đếm số từ trong chuỗi|đếm số từ của một câu",
        "count_words('one two  three') == 3|count_words('') == 0",
    ),
    snippet(
        """
        def unique(items):
            return list(dict.fromkeys(items))
        """,
        "removes duplicates from a list|returns the unique items of a list",
        "xóa phần tử trùng trong danh sách|loại bỏ phần tử trùng lặp",
        "unique([1, 2, 1, 3, 2]) == [1, 2, 3]|unique([]) == []",
    ),
    snippet(
        """
        def to_fahrenheit(celsius):
            return celsius * 9 / 5 + 32
        """,
        "converts Celsius to Fahrenheit|turns Celsius into Fahrenheit",
        "đổi độ C sang độ F|chuyển độ C thành độ F",
        "to_fahrenheit(100) == 212|to_fahrenheit(0) == 32|to_fahrenheit(-40) == -40",
    ),
    snippet(
        """
        def binary_search(items, target):
            low, high = 0, len(items) - 1
            while low <= high:
                mid = (low + high) // 2
                if items[mid] == target:
                    return mid
                if items[mid] < target:
                    low = mid + 1
                else:
                    high = mid - 1
            return -1
        """,
        "does a binary search in a sorted list|implements binary search",
        "tìm kiếm nhị phân|tìm kiếm nhị phân trong danh sách đã sắp xếp",
        "[binary_search([1, 4, 6, 9], n) for n in (1, 6, 9)] == [0, 2, 3]|"
        "binary_search([1, 4], 5) == -1",
    ),
    snippet(
        """
        def bubble_sort(items):
            for i in range(len(items)):
                for j in range(len(items) - 1 - i):
                    if items[j] > items[j + 1]:
                        items[j], items[j + 1] = items[j + 1], items[j]
            return items
        """,
        "sorts a list with bubble sort|implements bubble sort",
        "sắp xếp nổi bọt|sắp xếp danh sách bằng thuật toán nổi bọt",
        "bubble_sort([3, 1, 2, 1]) == [1, 1, 2, 3]|bubble_sort([5, 4, 3]) == [3, 4, 5]",
    ),
    snippet(
        """
        def flatten(lists):
            return [item for items in lists for item in items]
        """,
        "flattens a list of lists|turns nested lists into one list",
        "làm phẳng danh sách lồng nhau|gộp các danh sách con thành một danh sách",
        "flatten([[1, 2], [], [3]]) == [1, 2, 3]|flatten([]) == []",
    ),
    snippet(
        """
        def read_lines(path):
            with open(path) as file:
                return file.read().splitlines()
        """,
        "reads the lines of a file|returns all lines of a text file",
        "đọc các dòng của một tệp|đọc tất cả các dòng trong tệp",
        "read_lines('some.txt') == ['one', 'two']",
        # The test must leave no file behind, so the function sees another open().
        "import io\nopen = lambda *_, **__: io.StringIO('one\\ntwo\\n')\n",
    ),
)

ASK_EN = (
    "Write a Python function that {}.",
    "Write a Python function which {}.",
    "Write a function in Python that {}.",
    "Can you write a Python function that {}?",
    "I need a Python function that {}.",
    "Python function that {}",
)
ASK_VI = (
    "Viết hàm Python {}.",
    "Viết một hàm Python để {}.",
    "Hãy viết hàm Python {}.",
    "Viết giúp tôi hàm Python {}.",
)
