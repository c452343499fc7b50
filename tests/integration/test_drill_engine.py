"""The engine of the drill, in a process of its own, behind the pipe that vLLM has too."""

import json
import queue
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock_shared.request import Request
from penstock_shared.tier_settings import TierSettings
from penstock_workers.drill import script
from penstock_workers.drill.engine import ENGINE, RUNS_VARIABLE
from penstock_workers.drill.script import ScriptTokenizer
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import Completion, Ending, EngineRequest
from penstock_workers.models import engine_config
from penstock_workers.rendering import Renderer
from tests.rig import eventually

BOUND_S = 60
PLACES = 2
TIER = TierSettings(
    model="a-model", price_per_hour=Decimal(1), max_model_len=2048, max_num_seqs=PLACES
)


class Running:
    """An engine, what it has finished, and what it died of."""

    def __init__(self, runs: Path) -> None:
        self.deaths: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._renderer = Renderer(ScriptTokenizer())
        self._runs = runs
        self.engine = EngineProcess(engine_config(TIER, time.monotonic_ns()), host=ENGINE)
        self.engine.wait_ready(
            on_completions=lambda ended: [self._ended.put(one) for one in ended] and None,
            on_death=self.deaths.put,
        )

    def submit(self, *prompts: str, **sampling: Any) -> None:
        """Give it these prompts at once; each is its own id."""
        requests = [Request.build(prompt, **{"max_tokens": 2000, **sampling}) for prompt in prompts]
        self.engine.submit(
            [
                EngineRequest(r.question, self._renderer.render(r), r.sampling, "salt")
                for r in requests
            ]
        )

    def ended(self) -> Completion:
        """What ends next."""
        return self._ended.get(timeout=BOUND_S)

    def runs(self) -> list[tuple[str, bool]]:
        """Which request began or finished, in order."""
        lines = map(json.loads, self._runs.read_text(encoding="utf-8").splitlines())
        return [(line["job_id"], line.get("finished", False)) for line in lines]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    runs = tmp_path / "runs.jsonl"
    monkeypatch.setenv(RUNS_VARIABLE, str(runs))
    running = Running(runs)
    yield running
    running.engine.close()


def test_it_says_what_its_tier_was_given(running: Running) -> None:
    limits = running.engine.limits
    assert (limits.max_model_len, limits.max_num_seqs) == (2048, PLACES)


def test_it_answers_as_the_script_says(running: Running) -> None:
    prompt = "drill 000001 tokens=4"
    running.submit(prompt)
    answer = running.ended()
    assert (answer.request_id, answer.ending, answer.text) == (prompt, Ending.STOP, "")
    assert answer.token_ids == script.answer_ids(prompt)
    assert answer.cost_pusd > 0
    assert running.runs() == [(prompt, False), (prompt, True)]


def test_an_answer_ends_where_its_caller_wanted(running: Running) -> None:
    prompt = "drill 000001 tokens=40"
    running.submit(prompt, max_tokens=3)
    answer = running.ended()
    assert (answer.ending, answer.token_ids) == (Ending.LENGTH, script.answer_ids(prompt)[:3])


def test_it_writes_the_text_where_there_are_stop_strings(running: Running) -> None:
    prompt = "drill 000001 tokens=4"
    running.submit(prompt, stop="none of these")
    assert running.ended().text == script.answer_of(prompt)


def test_what_finds_no_place_waits_for_one(running: Running) -> None:
    prompts = [f"drill {number:06d} tokens={9 + number}" for number in range(PLACES + 1)]
    running.submit(*prompts)
    assert [running.ended().request_id for _ in prompts] == prompts
    first, second, third = prompts
    begun_and_finished = running.runs()
    assert begun_and_finished[:2] == [(first, False), (second, False)]
    assert begun_and_finished.index((first, True)) < begun_and_finished.index((third, False))


@pytest.mark.parametrize("prompt", ["drill 000001 tokens=4 refused", "What is a dam?"])
def test_what_it_refuses_comes_back_at_once(running: Running, prompt: str) -> None:
    running.submit(prompt)
    refused = running.ended()
    assert (refused.ending, refused.token_ids, refused.cost_pusd) == (Ending.ERROR, (), 0)
    assert refused.error


def test_what_is_aborted_comes_back_whether_it_runs_or_waits(running: Running) -> None:
    prompts = [f"drill {number:06d} tokens=2000" for number in range(PLACES + 1)]
    running.submit(*prompts)
    running.engine.abort(["unknown", *prompts])
    aborted = [running.ended() for _ in prompts]
    assert {answer.ending for answer in aborted} == {Ending.ABORT}
    assert sorted(answer.request_id for answer in aborted) == prompts
    running.submit("drill 000009 tokens=1")
    assert running.ended().ending is Ending.STOP


def test_poison_kills_the_process_while_it_is_answered(running: Running) -> None:
    poison = "drill 000001 tokens=9 poison"
    running.submit(poison, "drill 000002 tokens=9")
    assert "exit -9" in running.deaths.get(timeout=BOUND_S)
    assert (poison, False) in running.runs()
    assert (poison, True) not in running.runs()


def test_every_picodollar_is_booked(running: Running) -> None:
    prompts = [f"drill {number:06d} tokens={number + 1}" for number in range(6)]
    running.submit(*prompts)
    charged = sum(running.ended().cost_pusd for _ in prompts)
    eventually(lambda: running.engine.pulse().running == 0 and running.engine.pulse().steps)
    running.engine.close()
    spent = running.engine.pulse().spent
    assert spent.paid_pusd == spent.idle_pusd + charged
