"""The sign of life tells of progress, and is written whatever else is away."""

from pathlib import Path

import pytest

from penstock_workers.heartbeat import Heartbeat
from tests.examples import NOW, Clock, a_completion
from tests.integration.heartbeat.conftest import OutageLedger
from tests.integration.heartbeat.looking import sign
from tests.rig import Rig, accept, eventually


@pytest.mark.usefixtures("beating")
def test_the_sign_of_life_is_written_while_the_ledger_is_away(
    rig: Rig, database: OutageLedger, health_file: Path
) -> None:
    database.is_away = True
    rig.clock.now = NOW + 9
    eventually(lambda: sign(health_file).get("at_ms") == NOW + 9)


@pytest.mark.usefixtures("beating")
def test_an_engine_with_work_and_without_steps_gets_older(
    rig: Rig, monotonic: Clock, health_file: Path
) -> None:
    rig.admit(*accept(rig.database, "What is a dam?"))
    eventually(lambda: sign(health_file).get("in_flight") == 1)
    monotonic.now = 61
    eventually(lambda: sign(health_file)["no_progress_s"] == 61)
    rig.engine.steps += 1
    eventually(lambda: sign(health_file)["no_progress_s"] == 0)
    assert sign(health_file)["steps"] == 1


@pytest.mark.usefixtures("beating")
def test_an_engine_without_work_does_not_get_older(
    rig: Rig, monotonic: Clock, health_file: Path
) -> None:
    eventually(lambda: sign(health_file))
    monotonic.now = 61
    rig.clock.now = NOW + 61_000
    eventually(lambda: sign(health_file)["at_ms"] == NOW + 61_000)
    assert sign(health_file)["no_progress_s"] == 0


@pytest.mark.usefixtures("beating")
def test_finished_jobs_that_cannot_be_settled_get_older_until_they_are(
    rig: Rig, monotonic: Clock, health_file: Path
) -> None:
    [job_id] = accept(rig.database, "What is a dam?")
    rig.admit(job_id)
    eventually(lambda: sign(health_file).get("held") == 1)
    monotonic.now = 61
    eventually(lambda: sign(health_file)["no_progress_s"] == 61)
    rig.settle(a_completion(job_id))
    eventually(lambda: sign(health_file)["no_progress_s"] == 0)
    assert sign(health_file)["held"] == 0


@pytest.mark.usefixtures("beating")
def test_a_broker_that_says_nothing_gets_older(
    heart: Heartbeat, monotonic: Clock, health_file: Path
) -> None:
    monotonic.now = 61
    eventually(lambda: sign(health_file).get("broker_silent_s") == 61)
    heart.hear()
    eventually(lambda: sign(health_file)["broker_silent_s"] == 0)
