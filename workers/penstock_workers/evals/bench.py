"""An engine on the test bench: prompts in, answers with their times out, so many at once."""

import itertools
import queue
import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple, Self

from penstock_shared.errors import ContextTooLong, EngineError, InvalidRequest
from penstock_shared.request import Sampling
from penstock_workers.engine.process import EngineProcess
from penstock_workers.engine.protocol import (
    Completion,
    EngineLimits,
    EngineRequest,
    Speculation,
)
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.suite import Case
from penstock_workers.models import engine_config
from penstock_workers.rendering import Renderer

WARM_UP_TOKENS: Final = 8
_UNFIT: Final = re.compile(r"[^\w.-]")


class Answer(NamedTuple):
    """What an engine said to one case."""

    case_id: str
    text: str
    prompt_tokens: int
    output_tokens: int
    latency_s: float
    error: str | None = None
    speculation: Speculation | None = None


class Run(NamedTuple):
    """The answers in order of the cases, and how long all of them took together."""

    answers: tuple[Answer, ...]
    wall_s: float

    @property
    def tokens_per_s(self) -> float:
        """Output tokens per second; 0 when nothing was asked."""
        tokens = sum(answer.output_tokens for answer in self.answers)
        return tokens / self.wall_s if tokens else 0.0


class _Prompt(NamedTuple):
    case_id: str
    token_ids: tuple[int, ...]
    sampling: Sampling
    seen: int = 0  # times that the run has the same prompt before this one


_Arrived = tuple[float, Completion] | str


class Bench:
    """A contender's engine, loading from the start on. Build it in the main thread.

    What vLLM says goes into a log in the folder.
    """

    def __init__(self, contender: Contender, logs: Path) -> None:
        self.contender = contender
        self._arrived: queue.SimpleQueue[_Arrived] = queue.SimpleQueue()
        self._runs = itertools.count()
        logs.mkdir(parents=True, exist_ok=True)
        self._engine = EngineProcess(
            engine_config(contender.config, time.monotonic_ns()),
            logs / f"engine-{_UNFIT.sub('-', contender.name)}.log",
        )

    def wait_ready(self) -> Self:
        """Return when the engine is loaded and warm. Raises EngineError."""
        self._renderer = Renderer.load(self.contender.config)
        try:
            self._engine.wait_ready(on_completions=self._arrive, on_death=self._arrived.put)
        except EngineError as error:
            raise EngineError(f"{self.contender.name}: {error}") from None
        warm_up = _Prompt("", (1,) * WARM_UP_TOKENS, Sampling(max_tokens=WARM_UP_TOKENS))
        self._serve([warm_up], 1, lambda _: None)
        return self

    @property
    def limits(self) -> EngineLimits:
        """What the loaded engine has: context, slots, KV cache, bytes of weights."""
        return self._engine.limits

    def close(self) -> None:
        """Stop the engine."""
        self._engine.close()

    def run(
        self,
        cases: Sequence[Case],
        concurrency: int,
        on_answer: Callable[[Answer], None] = lambda _: None,
    ) -> Run:
        """Answer all cases, ``concurrency`` of them at once, each prompt as if never seen before.

        A prompt that does not fit is an answer with an error. Raises EngineError when the engine
        dies.
        """
        refused: dict[str, Answer] = {}
        prompts: list[_Prompt] = []
        seen: Counter[tuple[int, ...]] = Counter()
        for case in cases:
            request = case.request()
            try:
                token_ids = self._renderer.render(request, self.limits.max_model_len)
            except (ContextTooLong, InvalidRequest) as error:
                refused[case.id] = Answer(case.id, "", 0, 0, 0.0, str(error))
                on_answer(refused[case.id])
            else:
                prompts.append(_Prompt(case.id, token_ids, request.sampling, seen[token_ids]))
                seen[token_ids] += 1
        started = time.monotonic()
        answers = {
            answer.case_id: answer for answer in self._serve(prompts, concurrency, on_answer)
        }
        wall_s = time.monotonic() - started
        answers |= refused
        return Run(tuple(answers[case.id] for case in cases), wall_s)

    def _serve(
        self, prompts: Sequence[_Prompt], concurrency: int, on_answer: Callable[[Answer], None]
    ) -> list[Answer]:
        run = next(self._runs)
        waiting = iter(enumerate(prompts))
        inside: dict[str, tuple[_Prompt, float]] = {}
        answers: list[Answer] = []
        self._submit(run, itertools.islice(waiting, concurrency), inside)
        while inside:
            arrived_at, completion = self._next()
            prompt, sent_at = inside.pop(completion.request_id)
            self._submit(run, itertools.islice(waiting, 1), inside)
            answers.append(self._answer(prompt, completion, arrived_at - sent_at))
            on_answer(answers[-1])
        return answers

    def _submit(
        self,
        run: int,
        prompts: Iterator[tuple[int, _Prompt]],
        inside: dict[str, tuple[_Prompt, float]],
    ) -> None:
        requests = []
        for number, prompt in prompts:
            request_id = f"{run}-{number}"
            inside[request_id] = prompt, time.monotonic()
            # The salt hides prefixes that earlier runs, and the same prompt earlier in this run,
            # left in the cache.
            salt = f"{run}-{prompt.seen}"
            requests.append(EngineRequest(request_id, prompt.token_ids, prompt.sampling, salt))
        self._engine.submit(requests)

    def _next(self) -> tuple[float, Completion]:
        arrived = self._arrived.get()
        if isinstance(arrived, str):
            raise EngineError(f"{self.contender.name}: {arrived}")
        return arrived

    def _arrive(self, completions: Sequence[Completion]) -> None:
        now = time.monotonic()
        for completion in completions:
            self._arrived.put((now, completion))

    def _answer(self, prompt: _Prompt, completion: Completion, latency_s: float) -> Answer:
        return Answer(
            case_id=prompt.case_id,
            text=completion.text or self._renderer.decode(completion.token_ids),
            prompt_tokens=len(prompt.token_ids),
            output_tokens=len(completion.token_ids),
            latency_s=latency_s,
            error=None if completion.ending.is_answer else completion.error or "aborted",
            speculation=completion.speculation,
        )


def benches(
    contenders: Sequence[Contender], logs: Path, *, in_turn: bool
) -> Generator[list[Bench]]:
    """The loaded engines: all in one list, or one after the other in lists of one.

    Side by side, their times can be compared also on a machine that is not quiet; in turn, each
    has all the memory. Close the iterator, and what it loaded is closed.
    """
    groups = [[contender] for contender in contenders] if in_turn else [list(contenders)]
    for group in groups:
        with ExitStack() as loaded:
            started = [loaded.enter_context(closing(Bench(contender, logs))) for contender in group]
            try:
                ready = [bench.wait_ready() for bench in started]
            except EngineError as error:
                hint = "" if len(group) == 1 else "; if memory is short, load them --in-turn"
                raise EngineError(f"{error}{hint}") from None
            yield ready
