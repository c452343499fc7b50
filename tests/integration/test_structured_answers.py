"""An answer that is not what response_format asked for is a failure, its cost waste."""

import json
from typing import Any

import pytest

from penstock_shared.ledger import reading
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import CacheEntry, Charge, WorkerTime
from penstock_shared.words import JobState, Source
from penstock_workers.engine.protocol import Ending
from tests.examples import a_completion, rows, state_of
from tests.rig import Rig, accept

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WANTED: dict[str, Any] = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA}},
    "stop": ["END"],  # then the engine writes the text
}
RIGHT = json.dumps({"city": "Huế"})


@pytest.fixture
def rig(database: Database) -> Rig:
    return Rig(database)


def test_the_engine_is_told_what_the_answer_must_be(rig: Rig, database: Database) -> None:
    rig.admit(*accept(database, "Which city?", **WANTED), *accept(database, "Which city?"))
    told, untold = rig.engine.submitted
    assert told.response_format is not None
    assert told.response_format.type == "json_schema"
    assert untold.response_format is None


def test_an_answer_that_matches_is_charged_and_cached(rig: Rig, database: Database) -> None:
    first, again = accept(database, "Which city?", "Which city?", **WANTED)
    rig.admit(first)
    rig.settle(a_completion(first, text=RIGHT))
    rig.admit(again)
    rig.settle()
    found = reading.fetch_one(database, again)
    assert (found.text, found.source) == (RIGHT, Source.EXACT)


@pytest.mark.parametrize(
    ("text", "ending", "reason"),
    [
        ('{"city": 7}', Ending.STOP, "at $.city"),
        ('{"city": "Hu', Ending.LENGTH, "raise max_tokens"),
    ],
)
def test_an_answer_that_does_not_match_fails_all_who_wait_and_is_waste(
    rig: Rig, database: Database, text: str, ending: Ending, reason: str
) -> None:
    ids = accept(database, "Which city?", "Which city?", **WANTED)
    rig.admit(*ids)
    assert rig.in_engine == ids[:1]
    rig.settle(a_completion(ids[0], ending, text=text, cost_pusd=900))
    for job_id in ids:
        assert state_of(database, job_id) is JobState.FAILED
        assert reason in (reading.fetch_one(database, job_id).error or "")
    [books] = rows(database, WorkerTime)
    assert (books.charged_pusd, books.waste_pusd) == (0, 900)
    assert rows(database, Charge) == rows(database, CacheEntry) == []


def test_an_answer_without_a_format_is_not_looked_at(rig: Rig, database: Database) -> None:
    [job_id] = accept(database, "Which city?", stop=["END"])
    rig.admit(job_id)
    rig.settle(a_completion(job_id, text="Huế"))
    assert state_of(database, job_id) is JobState.SUCCEEDED


def test_an_engine_that_gives_no_reason_may_not_support_the_schema(
    rig: Rig, database: Database
) -> None:
    structured, plain = (
        *accept(database, "Which city?", **WANTED),
        *accept(database, "Which city?"),
    )
    rig.admit(structured, plain)
    rig.settle(a_completion(structured, Ending.ERROR), a_completion(plain, Ending.ERROR))
    assert "response_format" in (reading.fetch_one(database, structured).error or "")
    assert "response_format" not in (reading.fetch_one(database, plain).error or "")
