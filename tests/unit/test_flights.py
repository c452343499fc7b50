"""Identical prompts share a flight, and the first who is still on it pays."""

from typing import Any

import pytest

from penstock_shared.ledger.claiming import ClaimId
from penstock_shared.words import JobState
from penstock_workers.cache.cache import Lookup
from penstock_workers.flights import Flights, Passenger
from tests.examples import a_claim, a_lookup


def lookup(job_id: str, prompt: str = "What is a dam?", **fields: Any) -> Lookup:
    return a_lookup(a_claim(prompt, job_id=job_id, **fields))


def again(before: Lookup) -> Lookup:
    """The same job, which was lost and claimed once more."""
    return before._replace(claim=before.claim._replace(fence=before.claim.fence + 1))


def ids(passengers: list[Passenger]) -> list[str]:
    return [passenger.lookup.claim.job_id for passenger in passengers]


def test_the_same_prompt_joins_and_the_first_stays_first() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    assert flights.join(lookup("b"))
    assert flights.join(lookup("c"))
    assert len(flights) == 1
    passengers = flights.land("a")
    assert ids(passengers) == ["a", "b", "c"]
    assert [passenger.prompt_tokens for passenger in passengers] == [7, 7, 7]
    assert (len(flights), flights.claims()) == (0, [])


@pytest.mark.parametrize(
    "other",
    [
        lookup("b", "What is a weir?"),
        lookup("b", tenant="other"),
        lookup("b", max_tokens=7),
        lookup("b", cache=False),
    ],
    ids=["prompt", "tenant", "sampling", "opt-out"],
)
def test_what_differs_does_not_join(other: Lookup) -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    assert not flights.join(other)


def test_a_flight_that_opted_out_of_the_cache_is_not_joined() -> None:
    flights = Flights()
    flights.start(lookup("a", cache=False), 7)
    assert not flights.join(lookup("b"))


def test_answers_that_are_drawn_at_random_are_never_shared() -> None:
    flights = Flights()
    flights.start(lookup("a", temperature=0.5), 7)
    assert not flights.join(lookup("b", temperature=0.5))


def test_a_flight_that_landed_is_not_joined() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    flights.land("a")
    assert not flights.join(lookup("b"))
    assert flights.land("a") == []


def test_who_leaves_others_behind_settles_alone_and_the_others_fly_on() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    flights.join(lookup("b"))
    to_abort, left = flights.leave(ClaimId("b", 1), JobState.CANCELLED, "cancelled by the caller")
    assert to_abort is None
    assert left is not None
    assert (left.lookup.claim.job_id, left.verdict) == ("b", JobState.CANCELLED)
    assert ids(flights.land("a")) == ["a"]


def test_when_the_payer_leaves_the_next_one_pays() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    flights.join(lookup("b"))
    flights.leave(ClaimId("a", 1), JobState.CANCELLED, "cancelled by the caller")
    assert [claim.job_id for claim in flights.claims()] == ["b"]
    assert flights.join(lookup("c"))
    assert ids(flights.land("a")) == ["b", "c"]


def test_the_last_to_leave_aborts_the_flight_and_lands_with_the_verdict() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    to_abort, left = flights.leave(ClaimId("a", 1), JobState.EXPIRED, "the deadline passed")
    assert (to_abort, left) == ("a", None)
    assert not flights.join(lookup("b"))
    [passenger] = flights.land("a")
    assert (passenger.verdict, passenger.reason) == (JobState.EXPIRED, "the deadline passed")


def test_a_new_flight_of_the_same_prompt_survives_the_landing_of_an_aborted_one() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    flights.leave(ClaimId("a", 1), JobState.CANCELLED, "cancelled by the caller")
    flights.start(lookup("b"), 7)
    flights.land("a")
    assert flights.join(lookup("c"))
    assert ids(flights.land("b")) == ["b", "c"]


def test_leaving_without_a_flight_changes_nothing() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    assert flights.leave(ClaimId("stranger", 1), JobState.CANCELLED, "?") == (None, None)
    assert list(flights.ids()) == ["a"]


@pytest.mark.parametrize("fields", [{}, {"temperature": 0.5}], ids=["shareable", "random"])
def test_a_job_that_comes_back_stays_on_its_flight_under_its_new_claim(
    fields: dict[str, Any],
) -> None:
    flights, first = Flights(), lookup("a", **fields)
    flights.start(first, 7)
    assert flights.join(again(first))
    assert flights.leave(ClaimId("a", 1), JobState.CANCELLED, "the claim was lost") == (None, None)
    [passenger] = flights.land("a")
    assert (passenger.lookup.claim.fence, passenger.verdict) == (2, None)
    assert (passenger.prompt_tokens, len(flights), "a" in flights) == (7, 0, False)


def test_what_was_decided_for_a_lost_claim_does_not_hold_for_the_next_one() -> None:
    flights, first = Flights(), lookup("a")
    flights.start(first, 7)
    assert flights.leave(ClaimId("a", 1), JobState.CANCELLED, "the claim was lost") == ("a", None)
    assert flights.join(again(first))
    assert not flights.join(lookup("b"))
    [passenger] = flights.land("a")
    assert (passenger.lookup.claim.fence, passenger.verdict) == (2, None)


def test_a_job_that_left_its_flight_to_others_comes_back_to_it() -> None:
    flights, first = Flights(), lookup("a")
    flights.start(first, 7)
    line = lookup("b")
    flights.join(line._replace(claim=line.claim._replace(batch_id="a-batch")))
    flights.leave(ClaimId("a", 1), JobState.CANCELLED, "the claim was lost")
    assert flights.join(again(first))
    assert ids(flights.land("a")) == ["b", "a"]


def test_a_lost_claim_that_leaves_twice_leaves_a_newer_flight_open() -> None:
    flights = Flights()
    flights.start(lookup("a"), 7)
    flights.leave(ClaimId("a", 1), JobState.CANCELLED, "cancelled by the caller")
    flights.start(lookup("b"), 7)
    flights.leave(ClaimId("a", 1), JobState.CANCELLED, "cancelled by the caller")
    assert flights.join(lookup("c"))
