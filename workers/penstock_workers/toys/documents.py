"""Long texts: reports to sum up, and documents with facts to look up at their end."""

from dataclasses import dataclass
from random import Random

from penstock_workers.toys.prose import filler, lead
from penstock_workers.toys.reword import ask_politely
from penstock_workers.toys.sample import Language, Sample, Turn
from penstock_workers.toys.short_tasks import draw_language

KEYS = (
    "Falcon", "Otter", "Cedar", "Maple", "Comet", "Harbor", "Lotus", "Tiger", "Raven",
    "Willow", "Amber", "Coral", "Delta", "Ember", "Frost", "Granite", "Hazel", "Indigo",
    "Jasper", "Kite", "Lemon", "Marble", "Nectar", "Onyx", "Pepper", "Quartz", "Saffron",
    "Tulip", "Umber", "Velvet", "Walnut", "Zephyr", "Anchor", "Badger", "Canyon", "Dolphin",
    "Eagle", "Fossil", "Garnet", "Heron", "Island", "Jaguar", "Koala", "Lantern", "Meadow",
    "Nutmeg", "Orchid", "Panda", "Quill", "Rocket", "Summit", "Thunder", "Violet", "Wizard",
    "Yonder", "Zebra", "Acorn", "Breeze", "Cobalt", "Dragon",
)  # fmt: skip

POLITE_SHARE = 0.15
_ASK_SUMMARY = {
    "en": (
        "Summarize the following text in one sentence:\n\n{}",
        "Summarize this text:\n\n{}",
        "Give a one-sentence summary of this report:\n\n{}",
        "Please summarize:\n\n{}",
    ),
    "vi": (
        "Tóm tắt đoạn văn sau trong một câu:\n\n{}",
        "Tóm tắt văn bản sau:\n\n{}",
        "Hãy tóm tắt báo cáo này:\n\n{}",
    ),
}
_ASK_DOCUMENT = {
    "en": (
        "Read the document and answer the question.\n\n{}\n\nQuestion: {}",
        "Here is a document.\n\n{}\n\nAnswer from the document: {}",
    ),
    "vi": (
        "Đọc tài liệu và trả lời câu hỏi.\n\n{}\n\nCâu hỏi: {}",
        "Đây là một tài liệu.\n\n{}\n\nTrả lời theo tài liệu: {}",
    ),
}
_FACT = {"en": "The access code of {} is {}.", "vi": "Mã truy cập của {} là {}."}
_QUESTIONS = {
    "en": (
        "What is the access code of {}?",
        "What's the access code of {}?",
        "Which access code does {} have?",
        "Tell me the access code of {}.",
    ),
    "vi": ("Mã truy cập của {} là gì?", "{} có mã truy cập nào?"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How long a document is, in sentences of filler, and how many facts and questions it has."""

    fillers: int
    facts: int
    questions: int


def summarization(rng: Random, fillers: int | None = None) -> Sample:
    """A text whose first sentence is its summary; `fillers` sentences follow (2 to 6)."""
    language = draw_language(rng)
    head = lead(rng, language)
    count = rng.randint(2, 6) if fillers is None else fillers
    body = _paragraphs(rng, [head, *(filler(rng, language) for _ in range(count))])
    prompt = _polite(rng, rng.choice(_ASK_SUMMARY[language]).format(body), language)
    return Sample("summarization", language, (Turn(prompt, head),), head, head, "exact")


def long_context(rng: Random, shape: Shape | None = None) -> Sample:
    """A document with facts among filler; the first question comes with it, others follow."""
    language = draw_language(rng)
    made = shape or Shape(rng.randint(4, 20), rng.randint(2, 6), rng.randint(1, 3))
    keys = rng.sample(KEYS, made.facts)
    codes = dict(zip(keys, map(str, rng.sample(range(1000, 10_000), made.facts)), strict=True))
    sentences = [filler(rng, language) for _ in range(made.fillers)]
    for key in keys:
        sentences.insert(rng.randint(0, len(sentences)), tell_code(language, key, codes[key]))
    asked = rng.sample(keys, min(made.questions, len(keys)))
    questions = [rng.choice(_QUESTIONS[language]).format(key) for key in asked]
    answers = [tell_code(language, key, codes[key]) for key in asked]
    first = rng.choice(_ASK_DOCUMENT[language]).format(_paragraphs(rng, sentences), questions[0])
    turns = (_polite(rng, first, language), *questions[1:])
    key = f"{asked[0]}{codes[asked[0]]}"
    return Sample(
        "long_context",
        language,
        tuple(Turn(prompt, answer) for prompt, answer in zip(turns, answers, strict=True)),
        key,
        codes[asked[0]],
        "contains",
    )


def tell_code(language: Language, key: str, code: str) -> str:
    """The sentence that tells an access code."""
    return _FACT[language].format(key, code)


def _polite(rng: Random, prompt: str, language: Language) -> str:
    return ask_politely(rng, prompt, language) if rng.random() < POLITE_SHARE else prompt


def _paragraphs(rng: Random, sentences: list[str]) -> str:
    """The sentences in paragraphs of four to nine."""
    text, start = [], 0
    while start < len(sentences):
        size = rng.randint(4, 9)
        text.append(" ".join(sentences[start : start + size]))
        start += size
    return "\n\n".join(text)
