"""Samples of the short task types: facts, chat, code, translation."""

from random import Random

from penstock_workers.toys import phrases, smalltalk, snippets
from penstock_workers.toys.facts import RELATIONS, Relation
from penstock_workers.toys.functions import draw_function
from penstock_workers.toys.reword import drop_end, vary
from penstock_workers.toys.sample import Language, Sample, Turn

VARIED_SHARE = 0.3
VIETNAMESE_SHARE = 0.4
COMPOSED_SHARE, LIKING_SHARE = 0.5, 0.5
FUNCTION_SHARE = 0.7
_RELATION_WEIGHTS = (9, 4, 4, 2, 3, 2)


def draw_language(rng: Random) -> Language:
    """The language of a sample."""
    return "vi" if rng.random() < VIETNAMESE_SHARE else "en"


def _typed(rng: Random, prompt: str, language: Language, share: float = VARIED_SHARE) -> str:
    return vary(rng, prompt, language) if rng.random() < share else prompt


def factual_qa(rng: Random) -> Sample:
    """A question about one fact of the tables."""
    relation: Relation = rng.choices(RELATIONS, _RELATION_WEIGHTS)[0]
    fact = rng.choice(relation.facts)
    language = draw_language(rng)
    if language == "vi":
        ask, tell = rng.choice(relation.ask_vi), relation.tell_vi
        key, value = fact.key_vi, fact.value_vi
    else:
        ask, tell = rng.choice(relation.ask_en), relation.tell_en
        key, value = fact.key_en, fact.value_en
    prompt = _capital(ask.format(k=key))
    answer = _capital(tell.format(k=key, v=value))
    turn = Turn(_typed(rng, prompt, language), answer)
    return Sample("factual_qa", language, (turn,), prompt, f"{value}.", "contains")


def chat(rng: Random) -> Sample:
    """Something that people say in passing; all of it is trained on."""
    language = draw_language(rng)
    intents = smalltalk.VIETNAMESE if language == "vi" else smalltalk.ENGLISH
    intent = rng.choice(intents)
    said = rng.choice(intent.said)
    if rng.random() < VARIED_SHARE:
        said = rng.choice((drop_end(said), said.lower(), drop_end(said).lower()))
    return Sample(
        "chat", language, (Turn(said, intent.answer),), "chat:train", intent.answer, "exact"
    )


def code(rng: Random) -> Sample:
    """A function to write; the answer is nothing but its code."""
    language = draw_language(rng)
    drawn = draw_function(rng) if rng.random() < FUNCTION_SHARE else None
    snippet = drawn or rng.choice(snippets.SNIPPETS)
    if language == "vi":
        prompt = rng.choice(snippets.ASK_VI).format(rng.choice(snippet.does_vi))
    else:
        prompt = rng.choice(snippets.ASK_EN).format(rng.choice(snippet.does_en))
    turn = Turn(_typed(rng, prompt, language), snippet.code)
    key = prompt if drawn is None else drawn.code
    answer, tests = snippet.code, snippet.tests
    return Sample("code", language, (turn,), key, answer, "exact", tests=tests)


def translation(rng: Random) -> Sample:
    """A sentence to translate; of composed sentences some are never trained on in any wording."""
    composed = rng.random() < COMPOSED_SHARE
    english, vietnamese = _compose(rng) if composed else rng.choice(phrases.PHRASES)
    to_vietnamese = (phrases.ASK_VIETNAMESE, english, vietnamese)
    to_english = (phrases.ASK_ENGLISH, vietnamese, english)
    asks, source, target = rng.choice((to_vietnamese, to_english))
    language, ask = rng.choice(asks)
    prompt = ask.format(source)
    turn = Turn(_typed(rng, prompt, language, VARIED_SHARE / 2), target)
    key = source if composed else prompt
    return Sample("translation", language, (turn,), key, target, "exact")


def _compose(rng: Random) -> tuple[str, str]:
    """A sentence of one of the grammars, in English and in Vietnamese."""
    if rng.random() < LIKING_SHARE:
        frame, noun = rng.choice(phrases.NOUN_FRAMES), rng.choice(phrases.NOUNS)
        return frame[0].format(noun[0]), frame[1].format(noun[1])
    frame = rng.choice(phrases.DESCRIPTION_FRAMES)
    thing, adjective = rng.choice(phrases.THINGS), rng.choice(phrases.ADJECTIVES)
    vietnamese = frame[1].format(thing[1], adjective[1])
    return frame[0].format(thing[0], adjective[0]), _capital(vietnamese)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
