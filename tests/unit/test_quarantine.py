"""Suspects run with fewer and fewer beside them, and in the end alone."""

from penstock_workers.held import Held
from penstock_workers.quarantine import Quarantine, Suspect
from tests.examples import Clock, a_claim


class Ward:
    """A quarantine of a worker whose engine holds 64."""

    def __init__(self, capacity: int = 64) -> None:
        self.held = Held()
        self.clock = Clock(100.0)
        self.quarantine = Quarantine(self.held, lambda: capacity, self.clock)

    def board(self, job_id: str) -> None:
        self.held.add([a_claim(job_id, job_id=job_id)])

    def end(self, job_id: str) -> None:
        self.held.drop([a_claim(job_id, job_id=job_id)])

    def board_all_that_may(self) -> list[str]:
        boarded = []
        while (job_id := self.quarantine.take()) is not None:
            self.board(job_id)
            boarded.append(job_id)
        return boarded


def suspects(count: int, suspicion: int = 1) -> list[Suspect]:
    return [Suspect(suspicion, f"{suspicion}-{number:02}") for number in range(count)]


def test_without_suspects_nobody_waits() -> None:
    ward = Ward()
    assert (len(ward.quarantine), ward.quarantine.take()) == (0, None)
    assert not ward.quarantine.wants_silence


def test_after_the_first_loss_an_eighth_of_the_engine_is_for_suspects() -> None:
    ward = Ward()
    for number in range(60):
        ward.board(f"ordinary {number}")
    ward.quarantine.add(suspects(20))
    assert len(ward.board_all_that_may()) == 8
    assert not ward.quarantine.wants_silence
    ward.end("1-03")
    assert ward.board_all_that_may() == ["1-08"]
    assert len(ward.quarantine) == 19


def test_after_the_next_loss_a_suspect_runs_alone() -> None:
    ward = Ward()
    ward.board("ordinary")
    ward.quarantine.add(suspects(2, suspicion=2))
    assert ward.board_all_that_may() == []
    assert not ward.quarantine.is_running_alone
    ward.end("ordinary")
    assert ward.board_all_that_may() == ["2-00"]
    assert ward.quarantine.wants_silence
    ward.end("2-00")
    assert ward.board_all_that_may() == ["2-01"]
    ward.end("2-01")
    assert (len(ward.quarantine), ward.quarantine.wants_silence) == (0, False)


def test_a_busy_engine_is_emptied_only_for_one_who_has_waited() -> None:
    ward = Ward()
    ward.board("ordinary")
    ward.quarantine.add(suspects(1, suspicion=2))
    ward.clock.now += 2
    ward.quarantine.add(suspects(2, suspicion=2))
    assert not ward.quarantine.wants_silence
    ward.clock.now += 1
    assert ward.quarantine.wants_silence
    ward.end("ordinary")
    assert ward.board_all_that_may() == ["2-00"]


def test_into_an_empty_engine_those_go_first_who_have_to_be_alone() -> None:
    ward = Ward()
    ward.quarantine.add(suspects(3))
    ward.quarantine.add(suspects(1, suspicion=2))
    assert ward.board_all_that_may() == ["2-00"]
    ward.end("2-00")
    assert ward.board_all_that_may() == ["1-00", "1-01", "1-02"]


def test_while_somebody_has_to_wait_to_be_alone_the_others_go_on() -> None:
    ward = Ward()
    ward.board("ordinary")
    ward.quarantine.add(suspects(1, suspicion=2))
    ward.quarantine.add(suspects(2))
    assert ward.board_all_that_may() == ["1-00", "1-01"]
    ward.quarantine.add(suspects(1))
    ward.clock.now += 3
    assert ward.board_all_that_may() == []


def test_nobody_waits_twice() -> None:
    ward = Ward()
    ward.quarantine.add(suspects(3))
    ward.quarantine.add(suspects(3))
    assert len(ward.quarantine) == 3


def test_in_a_small_engine_a_suspect_is_alone_at_once() -> None:
    ward = Ward(capacity=4)
    ward.quarantine.add(suspects(3))
    assert ward.board_all_that_may() == ["1-00"]


def test_a_suspect_that_did_not_board_after_all_makes_room() -> None:
    ward = Ward(capacity=1)
    ward.quarantine.add(suspects(2))
    assert ward.quarantine.take() == "1-00"  # the cache answered it
    assert ward.quarantine.take() == "1-01"


def test_who_still_waits_can_be_sent_back() -> None:
    ward = Ward(capacity=1)
    ward.quarantine.add(suspects(3))
    ward.board_all_that_may()
    assert ward.quarantine.give_up() == ["1-01", "1-02"]
    assert len(ward.quarantine) == 1


def test_a_suspect_is_not_alone_beside_what_is_not_in_the_engine() -> None:
    ward = Ward()
    ward.board("an embedding")
    ward.quarantine.add(suspects(1, suspicion=2))
    assert ward.board_all_that_may() == []
    ward.end("an embedding")
    assert ward.board_all_that_may() == ["2-00"]
