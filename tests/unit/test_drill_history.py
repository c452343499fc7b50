"""The history of a drill is read back as it was written, whoever was killed while writing."""

from pathlib import Path

import pytest

from penstock_producer.drill_client import Journal, PlanLine, read_plan
from penstock_workers.drill.history import History, read_history
from penstock_workers.drill.plan import client_plans

_LINE = PlanLine(0.5, "k-1", "drill 1 tokens=3", 3, "plain")
_SEEN = {"status": "succeeded", "digest": "d", "charge": "0.5", "attempts": 1}


def written(path: Path) -> Path:
    journal = Journal(path)
    journal.append([_LINE.event("submit"), _LINE._replace(key=None).event("submit")])
    journal.append([_LINE.event("unsure", code="ledger_unavailable")])
    journal.append([])
    journal.append([_LINE.event("accepted", job_id="a", is_new=True)])
    journal.append([_LINE.event("refused", code="invalid_request")])
    journal.append([{"event": "ended", "job_id": "a", "reading": 1, **_SEEN}])
    journal.append([{"event": "trouble", "doing": "read", "error": "OSError: no"}])
    journal.close()
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    history = read_history([written(tmp_path / "client-0.jsonl")])
    first, second = history.submitted
    assert (first.client, first.key, first.kind) == ("client-0", "k-1", "plain")
    assert (second.key, second.prompt) == (None, "drill 1 tokens=3")
    assert [line.code for line in history.unsure] == ["ledger_unavailable"]
    assert [(line.job_id, line.is_new) for line in history.accepted] == [("a", True)]
    assert [line.code for line in history.refused] == ["invalid_request"]
    assert [(seen.charge, seen.has_ended) for seen in history.seen] == [("0.5", True)]
    assert [trouble.error for trouble in history.troubles] == ["OSError: no"]
    assert first.at_ms == second.at_ms <= history.accepted[0].at_ms


def test_histories_of_many_callers_are_one(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"client-{number}.jsonl") for number in range(3)]
    history = read_history(paths)
    assert [line.client for line in history.accepted] == ["client-0", "client-1", "client-2"]
    assert read_history([]) == History([], [], [], [], [], [])


@pytest.mark.parametrize("cut", [1, 2, 10, 40])
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "client-0.jsonl")
    path.write_bytes(path.read_bytes()[:-cut])
    history = read_history([path])
    assert (len(history.seen), len(history.troubles)) == (1, 0)


def test_another_line_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "client-0.jsonl")
    for wrong in (b"{\n", b"[]\n", b'{"event": "dance"}\n', b'{"event": "submit"}\n'):
        broken = tmp_path / "broken.jsonl"
        broken.write_bytes(path.read_bytes() + wrong)
        with pytest.raises(ValueError, match="line 8 is no event"):
            read_history([broken])


def test_a_job_that_is_not_there_or_runs_has_not_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "client-0.jsonl")
    for status in ("missing", "queued", "running", "dead"):
        journal.append([{"event": "ended", "job_id": "a", "reading": 2, **_SEEN, "status": status}])
    journal.close()
    seen = read_history([tmp_path / "client-0.jsonl"]).seen
    assert [one.has_ended for one in seen] == [False, False, False, True]


def test_a_caller_understands_every_line_of_a_plan(tmp_path: Path) -> None:
    import json

    [lines, _] = client_plans(jobs=200, seconds=5, seed=1, clients=2)
    path = tmp_path / "plan.jsonl"
    path.write_text("".join(json.dumps(line._asdict()) + "\n" for line in lines))
    plan = read_plan(path)
    assert [tuple(line) for line in plan] == [tuple(line) for line in lines]
    requests = [line.request() for line in plan if line.kind != "invalid"]
    assert [r.sampling.max_tokens for r in requests[:3]] == [
        line.max_tokens for line in plan if line.kind != "invalid"
    ][:3]
