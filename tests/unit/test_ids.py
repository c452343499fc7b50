"""Job ids sort by the time at which they were made."""

import time
import uuid

import pytest

from penstock_shared.ids import new_job_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    parsed = uuid.UUID(new_job_id())
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_an_id_that_is_made_later_sorts_later(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [1, 999, 10**6, 1_800_000_000_000, 2**48 - 1]
    ids = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        ids.append(new_job_id())
    assert ids == sorted(ids)


def test_an_id_carries_the_millisecond_of_its_making(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_123_456_789)
    assert uuid.UUID(new_job_id()).int >> 80 == 1_800_000_000_123


def test_ids_of_the_same_millisecond_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_000_000_000)
    assert len({new_job_id() for _ in range(10_000)}) == 10_000
