"""Nothing that differs in any one part of its key is answered from the cache, in any wording."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock_shared.cache_settings import CacheSettings
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry
from penstock_shared.request import Sampling
from penstock_workers.cache import cache as cache_module
from penstock_workers.cache.cache import Cache
from penstock_workers.engine.protocol import Ending
from tests.examples import NOW, Clock, a_claim, a_completion, rows
from tests.integration.plane import PlaneEncoder, verify
from tests.integration.test_cache import store_lookup
from tests.rig import Rig, accept
from tests.unit.test_cache_key import OTHER_SAMPLING, OTHER_SPECIAL

IDENTITY: Final = {"model": "m", "revision": "r", "quantization": None, "dtype": "auto"}
BEFORE: Final = (("system", "Be brief."), ("user", "Hello"), ("assistant", "Hello to you"))
PARTS: Final = [
    "tenant",
    *IDENTITY,
    *(f"turn {n}" for n in range(3)),
    *OTHER_SAMPLING,
    "response_format",
]
NUMBERS = itertools.count()
words = st.text(st.characters(categories=["Ll", "Nd"], max_codepoint=0x24F), min_size=1)


class Asked:
    """All that makes a key."""

    def __init__(self, tenant: str) -> None:
        self.fields: dict[str, Any] = {"tenant": tenant}
        self.identity: Mapping[str, Any] = IDENTITY
        self.before: list[tuple[str, str]] = list(BEFORE)

    def changed(self, part: str, word: str) -> "Asked":
        """The same with one part changed."""
        other = Asked(self.fields["tenant"])
        if part in IDENTITY:
            other.identity = {**IDENTITY, part: f"{IDENTITY[part]} {word}"}
        elif part.startswith("turn"):
            role, content = BEFORE[int(part[-1])]
            other.before[int(part[-1])] = (role, f"{content} {word}")
        elif part == "tenant":
            other.fields["tenant"] += f" {word}"
        else:
            other.fields[part] = {**OTHER_SAMPLING, **OTHER_SPECIAL}[part]
        return other

    def claim(self, question: str) -> Any:
        turns = [*self.before, ("user", question)]
        messages: Any = [{"role": role, "content": content} for role, content in turns]
        return a_claim(messages, **self.fields)


class World:
    """Workers of one tier, each with its own model, that serve the same words and any others."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.encoder: Any = PlaneEncoder()

    def cache(self, asked: Asked) -> Cache:
        """The cache as the worker sees it that this is asked; it caches sampled answers too."""
        cache = Cache(
            self.database,
            CacheSettings(max_false_hit_rate=1, sampled_tenants=(asked.fields["tenant"],)),
            tier="small",
            identity=asked.identity,
            encoder=self.encoder,
            now_ms=Clock(NOW),
        )
        cache.refresh()
        return cache

    def hits(self, asked: Asked, wordings: Sequence[str]) -> list[bool]:
        lookups = self.cache(asked).lookup([asked.claim(wording) for wording in wordings])
        return [lookup.hit is not None for lookup in lookups]


@pytest.fixture
def _believing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "verify", verify)


def test_every_part_of_a_key_is_changed_here() -> None:
    assert set(Sampling.model_fields) <= set(PARTS)


@pytest.mark.usefixtures("_believing")
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(part=st.sampled_from(PARTS), word=words, cosine=st.sampled_from([0.6, 0.75, 0.85, 0.97]))
def test_a_change_of_any_one_part_alone_is_a_miss(
    database: Database, part: str, word: str, cosine: float
) -> None:
    world, asked = World(database), Asked(f"tenant {next(NUMBERS)}")
    wordings = ["What is a dam?", f"What is a dam? at {cosine}"]
    store_lookup(database, world.cache(asked), asked.claim(wordings[0]))
    assert world.hits(asked, wordings) == [True, True]
    assert world.hits(asked.changed(part, word), wordings) == [False, False]


schemas = st.dictionaries(words, st.sampled_from(["string", "integer", "boolean"]), min_size=1)


@pytest.mark.usefixtures("_believing")
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kinds=st.permutations(["chat", "completion"]), mine=schemas, yours=schemas)
def test_a_change_of_kind_or_response_format_alone_is_a_miss(
    database: Database, kinds: list[str], mine: dict[str, str], yours: dict[str, str]
) -> None:
    def asked(kind: str, types: dict[str, str] | None) -> Asked:
        it = Asked(tenant)
        it.before, it.fields["kind"] = [], kind
        if types is not None:
            properties = {name: {"type": type_} for name, type_ in types.items()}
            named = {"name": "x", "schema": {"properties": properties}}
            it.fields["response_format"] = {"type": "json_schema", "json_schema": named}
        return it

    tenant = f"tenant {next(NUMBERS)}"
    world, first = World(database), asked(kinds[0], mine)
    wordings = ["What is a dam?", "What is a dam? at 0.97"]
    store_lookup(database, world.cache(first), first.claim(wordings[0]))
    assert world.hits(asked(kinds[0], mine), wordings) == [True, kinds[0] == "chat"]
    assert world.hits(asked(kinds[1], mine), wordings) == [False, False]
    assert world.hits(asked(kinds[0], None), wordings) == [False, False]
    is_same = list(mine.items()) == list(yours.items())
    assert world.hits(asked(kinds[0], yours), wordings)[0] is is_same


@pytest.mark.parametrize(
    ("ending", "fields"),
    [
        (Ending.ABORT, {}),
        (Ending.ERROR, {}),
        (Ending.LENGTH, {}),
        (Ending.STOP, {"cache": False}),
        (Ending.STOP, {"temperature": 0.7}),
    ],
    ids=["aborted", "failed", "cut off", "opted out", "sampled"],
)
def test_these_are_never_stored(database: Database, ending: Ending, fields: dict[str, Any]) -> None:
    rig = Rig(database, encoder=PlaneEncoder())
    [job_id] = accept(database, "What is a dam?", **fields)
    rig.admit(job_id)
    rig.settle(a_completion(job_id, ending))
    assert rows(database, CacheEntry) == []


def test_sampled_answers_are_stored_and_served_where_the_tenant_asks_for_it(
    database: Database,
) -> None:
    rig = Rig(database, sampled_tenants=("dreamer",))
    wanted, unwanted = (
        *accept(database, "A dream", temperature=0.7, tenant="dreamer"),
        *accept(database, "A dream", temperature=0.7, tenant="another"),
    )
    rig.admit(wanted, unwanted)
    rig.settle(a_completion(wanted), a_completion(unwanted))
    assert [row.tenant for row in rows(database, CacheEntry)] == ["dreamer"]
    [again] = accept(database, "A dream", temperature=0.7, tenant="dreamer")
    rig.admit(again)
    assert again not in rig.in_engine
