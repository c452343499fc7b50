"""Which neighbours may answer for each other. A miss costs money, a wrong hit costs trust."""

import pytest

from penstock_workers.cache.verifier import verify

SAME = [
    ("What is the capital of France?", "what is the capital of france"),
    ("What is the capital of France?", "Please, what is the capital of France?"),
    ("What is the capital of France?", "Hello, what is the capital of France?"),
    ("What's the capital of France?", "What is the capital of France?"),
    ("Can you tell me what a dam is?", "Tell me what a dam is."),
    ("Explain how a dam works, please.", "Explain how a dam works."),
    ("Explain how a dam works. Thanks!", "Explain how a dam works."),
    ("Quick question: who wrote Dune?", "Who wrote Dune?"),
    ("Cho hỏi: ai viết Dế Mèn?", "Ai viết Dế Mèn?"),
    ("Xin dịch sang tiếng Anh: mưa", "Dịch sang tiếng Anh: mưa"),
    ("Why can't penguins fly?", "Why cannot penguins fly?"),
    ("Thủ đô của Việt Nam là gì?", "thủ đô của việt nam là gì"),
    ("Thủ đô của Việt Nam là gì?", "Xin cho tôi biết: thủ đô của Việt Nam là gì?"),
    ("Hãy giải thích vì sao trời xanh.", "Vui lòng giải thích vì sao trời xanh"),
    ("Vì sao trời xanh ạ?", "Vì sao trời xanh?"),
]

DIFFERENT = [
    # numbers
    ("What is 17 times 4?", "What is 17 times 5?"),
    ("What is .5 times 4?", "What is 5 times 4?"),
    ("What is -5 plus 4?", "What is 5 plus 4?"),
    ("What is 5!?", "What is 5?"),
    ("What is 1,5 in percent?", "What is 15 in percent?"),
    ("Năm 1945 có gì?", "Năm 1954 có gì?"),
    # negation
    ("Which animals can fly?", "Which animals can't fly?"),
    ("Is it safe to eat?", "Is it not safe to eat?"),
    ("Loài chim nào bay được?", "Loài chim nào không bay được?"),
    # direction and order
    ("Convert 5 feet to meters", "Convert 5 meters to feet"),
    ("Translate English to Vietnamese: run", "Translate Vietnamese to English: run"),
    ("Did Brutus kill Caesar?", "Did Caesar kill Brutus?"),
    ("Dịch từ Anh sang Việt: run", "Dịch từ Việt sang Anh: run"),
    ("A lớn hơn B phải không?", "B lớn hơn A phải không?"),
    # names
    ("Who is the president of France?", "Who is the president of Finland?"),
    ("Thủ đô của Lào là gì?", "Thủ đô của Nhật là gì?"),
    ("What causes a vitamin A deficiency?", "What causes a vitamin deficiency?"),
    ("Who sang Hey Jude?", "Who sang Jude?"),
    ("Hello Kitty was made by whom?", "Kitty was made by whom?"),
    ("What does IT do?", "What does it do?"),
    ("US population?", "us population?"),
    ("Where is the US from here?", "Where is us from here?"),
    # units
    ("How far is 5 km?", "How far is 5 miles?"),
    ("How much is $5?", "How much is 5?"),
    ("What is 20 C in F?", "What is 20 F in C?"),
    ("5 lít là bao nhiêu?", "5 mét là bao nhiêu?"),
    # tone marks
    ("Con ma là gì?", "Con má là gì?"),
    # code
    ("What does `x = 1` do?", "What does `X = 1` do?"),
    ("What is print(a) in Python?", "What is print(A) in Python?"),
    ("Is C# older than Java?", "Is C older than Java?"),
    ("What does {a} mean?", "What does a mean?"),
    # words that are the matter of the question
    ("How do you say please?", "How do you say thank you?"),
    ("How do you spell thanks?", "How do you spell please?"),
    ("Nghĩa của từ ạ?", "Nghĩa của từ nhé?"),
    ("How many words are in 'the cat'?", "How many words are in 'cat'?"),
    ("Translate: you are tired.", "Translate: you are tired?"),
]


def ids(pairs: list[tuple[str, str]]) -> list[str]:
    return [f"{one} | {other}" for one, other in pairs]


@pytest.mark.parametrize(("asked", "stored"), SAME, ids=ids(SAME))
def test_a_question_that_differs_in_form_only_is_the_same(asked: str, stored: str) -> None:
    assert verify(asked, stored).same
    assert verify(stored, asked).same


@pytest.mark.parametrize(("asked", "stored"), DIFFERENT, ids=ids(DIFFERENT))
def test_a_question_that_differs_in_meaning_is_another(asked: str, stored: str) -> None:
    assert not verify(asked, stored).same
    assert not verify(stored, asked).same


def test_a_refusal_says_what_differs() -> None:
    assert verify("What is 17 times 4?", "What is 17 times 5?").reason == (
        "another number, date or name: 4, 5"
    )
    assert verify("x to y", "y to x").reason == "the order of words differs"


@pytest.mark.parametrize("nothing", ["", "?", "please", "the"])
def test_questions_without_a_word_that_counts_are_never_the_same(nothing: str) -> None:
    assert not verify(nothing, "a").same
