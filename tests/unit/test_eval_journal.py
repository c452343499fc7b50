"""What was measured stays measured, whatever interrupts."""

import pytest

from penstock_workers.engine.protocol import EngineLimits, Speculation
from penstock_workers.evals.bench import Answer
from penstock_workers.evals.quality.journal import FILE, Journal, Key, Timing

KEY = Key("an-engine", "a-suite")
ANSWER = Answer("q1", "Hà Nội", 9, 3, 0.25)
TIMING = Timing("factual_qa", 30, 1.5)
LIMITS = EngineLimits(4096, 64, 10_000, 3_200_000)


def test_another_journal_of_the_folder_knows_what_was_written(tmp_path):
    Journal(tmp_path).add(KEY, ANSWER, TIMING, LIMITS)
    again = Journal(tmp_path)
    assert again.answers(KEY) == {"q1": ANSWER}
    assert again.timings(KEY) == [TIMING]
    assert again.limits(KEY) == LIMITS


def test_speculation_survives_the_file(tmp_path):
    drafted = ANSWER._replace(speculation=Speculation(3, 12, 7))
    Journal(tmp_path).add(KEY, drafted)
    assert Journal(tmp_path).answers(KEY)["q1"].speculation == Speculation(3, 12, 7)


def test_another_engine_or_suite_has_nothing(tmp_path):
    journal = Journal(tmp_path)
    journal.add(KEY, ANSWER, TIMING, LIMITS)
    for key in (Key("another", "a-suite"), Key("an-engine", "another")):
        assert (journal.answers(key), journal.timings(key), journal.limits(key)) == ({}, [], None)


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_was_cut_off_is_dropped_and_the_next_one_is_whole(tmp_path, cut):
    Journal(tmp_path).add(KEY, ANSWER, ANSWER._replace(case_id="q2"))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(tmp_path)
    assert list(journal.answers(KEY)) == ["q1"]
    journal.add(KEY, ANSWER._replace(case_id="q3"))
    assert list(Journal(tmp_path).answers(KEY)) == ["q1", "q3"]
