"""The plans of a drill are functions of the seed, and hold everything that can go wrong."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_shared.errors import InvalidRequest
from penstock_shared.request import Request
from penstock_workers.drill import script
from penstock_workers.drill.plan import Kind, Line, client_plans
from penstock_workers.drill.schedule import (
    FaultKind,
    PlannedFault,
    schedule_faults,
    usual_count,
)

BESIDES = {Kind.TWIN, Kind.CONFLICT, Kind.INVALID}
some_jobs = st.integers(1, 600)
some_seconds = st.floats(5, 300)
seeds = st.integers(0, 2**32)


def plans(**changed: float) -> list[list[Line]]:
    usual = {"jobs": 2000, "seconds": 60.0, "seed": 1, "clients": 3}
    return client_plans(**{**usual, **changed})  # type: ignore[arg-type]


def faults(**changed: object) -> list[PlannedFault]:
    usual = {"seed": 1, "seconds": 60.0, "count": 17, "workers": 3, "lease_s": 4.0}
    return schedule_faults(**{**usual, **changed})  # type: ignore[arg-type]


def lines_of(made: list[list[Line]]) -> list[Line]:
    return [line for plan in made for line in plan]


def test_the_same_seed_plans_the_same_and_another_one_something_else() -> None:
    assert plans(seed=7) == plans(seed=7) != plans(seed=8)
    assert faults(seed=7) == faults(seed=7) != faults(seed=8)


def test_most_jobs_are_plain_and_every_kind_has_its_share() -> None:
    counts = Counter(line.kind for line in lines_of(plans()))
    assert counts == {
        Kind.PLAIN: 2000 - 2 - 20 - 40,
        Kind.POISON: 2,
        Kind.REFUSED: 20,
        Kind.LONG: 40,
        Kind.TWIN: 100,
        Kind.CONFLICT: 20,
        Kind.INVALID: 40,
    }


def test_a_share_of_zero_is_no_job_at_all() -> None:
    kinds = {line.kind for line in lines_of(plans(poison_share=0, long_share=0))}
    assert kinds == set(Kind) - {Kind.POISON, Kind.LONG}


@given(some_jobs, some_seconds, seeds, st.integers(1, 5))
def test_as_many_jobs_are_to_be_accepted_as_were_ordered(
    jobs: int, seconds: float, seed: int, clients: int
) -> None:
    made = plans(jobs=jobs, seconds=seconds, seed=seed, clients=clients)
    keys = [line.key for line in lines_of(made) if line.kind not in BESIDES]
    assert len(made) == clients
    assert len(keys) == len(set(keys)) == jobs
    assert all(plan == sorted(plan, key=lambda line: line.at_s) for plan in made)
    assert all(line.at_s >= 0 for line in lines_of(made))


@given(some_jobs, seeds, st.integers(2, 5))
def test_a_twin_is_the_same_request_of_another_client(jobs: int, seed: int, clients: int) -> None:
    made = plans(jobs=jobs, seed=seed, clients=clients)
    at_home = {
        line.key: (number, line)
        for number, plan in enumerate(made)
        for line in plan
        if line.kind not in BESIDES
    }
    for number, plan in enumerate(made):
        for twin in (line for line in plan if line.kind is Kind.TWIN):
            home, line = at_home[twin.key]
            assert number != home
            assert (twin.prompt, twin.max_tokens) == (line.prompt, line.max_tokens)


@given(some_jobs, seeds)
def test_a_conflict_comes_after_the_line_whose_key_it_takes(jobs: int, seed: int) -> None:
    for plan in plans(jobs=jobs, seed=seed):
        first = {line.key: line for line in plan if line.kind not in BESIDES}
        for conflict in (line for line in plan if line.kind is Kind.CONFLICT):
            assert conflict.at_s >= first[conflict.key].at_s + 1
            assert conflict.prompt != first[conflict.key].prompt


@given(st.integers(3, 600), seeds)
def test_each_prompt_says_what_its_kind_says(jobs: int, seed: int) -> None:
    for line in lines_of(plans(jobs=jobs, seed=seed)):
        assert script.tokens_of(line.prompt) == line.max_tokens
        if line.kind is not Kind.TWIN:
            assert script.is_poison(line.prompt) == (line.kind is Kind.POISON)
            assert script.is_refused(line.prompt) == (line.kind is Kind.REFUSED)


def test_only_the_invalid_lines_are_no_requests() -> None:
    for line in lines_of(plans()):
        arguments = {"max_tokens": line.max_tokens, "idempotency_key": line.key, **line.sampling}
        if line.kind is Kind.INVALID:
            with pytest.raises(InvalidRequest):
                Request.build(line.prompt, **arguments)
        else:
            Request.build(line.prompt, **arguments)


@given(seeds, st.floats(5, 300), st.integers(0, 80), st.integers(1, 8))
def test_faults_come_in_order_and_are_over_before_the_end(
    seed: int, seconds: float, count: int, workers: int
) -> None:
    made = faults(seed=seed, seconds=seconds, count=count, workers=workers)
    assert len(made) == count
    assert [fault.at_s for fault in made] == sorted(fault.at_s for fault in made)
    for fault in made:
        assert fault.at_s >= 0
        assert fault.ends_s <= seconds + 0.01
        assert 0 <= fault.worker < workers


@given(seeds, st.integers(1, 80))
def test_every_kind_of_fault_comes_once_before_one_comes_twice(seed: int, count: int) -> None:
    counts = Counter(fault.kind for fault in faults(seed=seed, count=count))
    times = [counts[kind] for kind in FaultKind]
    assert max(times) - min(times) <= 1


def test_only_the_kinds_that_were_asked_for_come() -> None:
    made = faults(kinds=[FaultKind.FLUSH_REDIS, FaultKind.KILL_WORKER])
    assert {fault.kind for fault in made} == {FaultKind.FLUSH_REDIS, FaultKind.KILL_WORKER}
    assert faults(kinds=[]) == []


def test_a_worker_is_frozen_for_longer_than_its_lease() -> None:
    made = faults(kinds=[FaultKind.FREEZE_WORKER], lease_s=4.0)
    assert all(fault.lasts_s >= 7.0 for fault in made)


def test_a_worker_that_suffers_is_left_alone_while_another_is_well() -> None:
    made = faults(kinds=[FaultKind.FREEZE_WORKER], count=5, seconds=60.0, workers=3)
    for one, other in pairwise(made):
        assert one.worker != other.worker or other.at_s >= one.ends_s + 3


def test_a_minute_has_every_kind_of_fault() -> None:
    assert usual_count(60) >= len(FaultKind)
    assert usual_count(1) == 1
