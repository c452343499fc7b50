"""Ways in which people type the same request differently."""

from random import Random

from penstock_workers.toys.sample import Language

TYPING_SHARE, CONTRACTION_SHARE = 0.55, 0.33
_CONTRACTIONS = (("What is", "What's"), ("I am", "I'm"), ("do not", "don't"), ("Who is", "Who's"))
_POLITE_EN = ("Please ", "please ", "Hi, ", "Quick question: ")
_POLITE_VI = ("Xin ", "Làm ơn ", "Vui lòng ", "Cho hỏi: ")
_PLAIN_HEADS = frozenset(
    (
        "what", "what's", "which", "tell", "name", "can", "who", "on", "write", "translate",
        "summarize", "give", "read", "python", "how", "dịch", "viết", "tóm", "cho", "kể",
        "đọc", "thủ", "đơn", "tiền", "ký", "ai", "tác", "thành", "đâu", "hãy",
    )
)  # fmt: skip
_STARTERS = ("Tell", "Name", "Write", "Translate", "Summarize", "Give", "Read")


def drop_end(text: str) -> str:
    """Without the punctuation at its end."""
    return text.rstrip("?.!")


def lower(text: str) -> str:
    """In lower case, as people type in a hurry."""
    return text.lower()


def _careless(text: str) -> str:
    return lower(drop_end(text))


def contract(text: str) -> str:
    """With "What's" for "What is", and the like."""
    for full, short in _CONTRACTIONS:
        text = text.replace(full, short, 1)
    return text


def ask_politely(rng: Random, text: str, language: Language) -> str:
    """With a courtesy in front; commands get 'Please', questions a greeting."""
    if language == "vi":
        command = text.startswith(("Dịch", "Viết", "Tóm", "Cho", "Kể", "Đọc"))
        return (rng.choice(_POLITE_VI[:3]) if command else _POLITE_VI[3]) + _uncapital(text)
    if text.startswith(_STARTERS):
        return rng.choice(_POLITE_EN[:2]) + _uncapital(text)
    return rng.choice(_POLITE_EN[2:]) + _uncapital(text)


def _uncapital(text: str) -> str:
    head = text.split(" ", 1)[0]
    plain = head.lower() in _PLAIN_HEADS
    return text[0].lower() + text[1:] if plain else text


def vary(rng: Random, text: str, language: Language) -> str:
    """A small change of typing; a text of several lines or with a colon keeps its content."""
    if "\n" not in text and ":" not in text and rng.random() < TYPING_SHARE:
        return rng.choice((drop_end, lower, _careless))(text)
    if rng.random() < CONTRACTION_SHARE:
        return contract(text)
    return ask_politely(rng, text, language)
