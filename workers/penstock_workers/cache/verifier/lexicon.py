"""Lexicons: what a language says in several ways, as data. One TOML file for each language."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from penstock_workers.cache.verifier.tones import without_tones
from penstock_workers.cache.verifier.words import base_of


class Lexicon(NamedTuple):
    """What is known of one language. All of it is in lower case.

    ``ornaments`` and ``frames`` are applied in order to the whole question; a word that starts
    with ``@`` says what kind of answer is asked for. ``phrases`` gives each known wording, as
    words without ``articles``, its common name. ``dropped`` carry no meaning. ``markers`` begin a
    phrase that may stand anywhere; what ``soft`` ones say is as clear without them, except beside
    ``containers``: a glass of wine. ``free`` words may stand anywhere by themselves: today. After
    one of the ``sequence`` (then) phrases stay behind it. What follows a colon after one of the
    ``literal`` is to be worked on; with one of the ``exact`` every word counts as it stands.
    """

    language: str
    ornaments: Sequence[tuple[re.Pattern[str], str]]
    frames: Sequence[tuple[re.Pattern[str], str]]
    polite: Sequence[tuple[re.Pattern[str], str]]
    phrases: Mapping[tuple[str, ...], str]
    longest: int
    vocabulary: frozenset[str]
    dropped: frozenset[str]
    articles: frozenset[str]
    markers: frozenset[str]
    soft: frozenset[str]
    joiners: frozenset[str]
    containers: frozenset[str]
    free: frozenset[str]
    sequence: frozenset[str]
    negations: frozenset[str]
    literal: re.Pattern[str]
    exact: re.Pattern[str]
    digits: Mapping[str, int]
    tens: Mapping[str, int]
    multipliers: Mapping[str, int]
    ordinals: Mapping[str, int]
    opposites: Mapping[str, str]


@cache
def lexicon_of(language: str, *, toneless: bool = False) -> Lexicon:
    """The lexicon of ``en`` or ``vi``; ``toneless`` for text that was typed without diacritics."""
    text = files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return _built(language, tomllib.loads(text), without_tones if toneless else str)


def _built(language: str, data: Mapping[str, Any], plain: Callable[[str], str]) -> Lexicon:
    def words(name: str) -> frozenset[str]:
        return frozenset(plain(word) for word in data.get(name, ()))

    def numbers(name: str) -> Mapping[str, int]:
        return {plain(word): value for word, value in data.get(name, {}).items()}

    def rules(*names: str) -> list[tuple[re.Pattern[str], str]]:
        return [(re.compile(plain(f)), plain(to)) for name in names for f, to in data[name]]

    unclear = frozenset(data.get("kept_bare", ())) if plain is not str else frozenset[str]()
    articles, markers = words("articles"), words("markers")
    phrases: dict[tuple[str, ...], str] = {}
    for group in data["same"]:
        for wording in group:
            wanted = [w for w in plain(wording).split() if w not in articles]
            key = tuple(w if w in markers else base_of(w, language) for w in wanted)
            if key and (key[0] not in unclear or len(key) > 1):
                phrases.setdefault(key, plain(group[0]).replace(" ", "_"))
    return Lexicon(
        language=language,
        ornaments=rules("contractions", "polite"),
        frames=rules("asked"),
        polite=rules("polite"),
        phrases=phrases,
        longest=max(map(len, phrases)),
        dropped=words("dropped") - unclear,
        articles=articles,
        markers=markers,
        vocabulary=frozenset(word for key in phrases for word in key),
        soft=words("soft"),
        joiners=words("joiners"),
        containers=words("containers"),
        free=frozenset(plain(word).replace(" ", "_") for word in data.get("free", ())),
        sequence=words("sequence"),
        negations=words("negations"),
        literal=re.compile(plain(data["literal"])),
        exact=re.compile(plain(data.get("exact", data["literal"]))),
        digits=numbers("digits"),
        tens=numbers("tens"),
        multipliers=numbers("multipliers"),
        ordinals=numbers("ordinals"),
        opposites={
            plain(word): plain(other)
            for pair in data["opposites"]
            for word, other in (pair, reversed(pair))
        },
    )
