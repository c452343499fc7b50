"""What metering costs: tokens per second of one vLLM engine with it, and without.

One engine in this process, full of requests of the same length; whole rounds of them with and
without metering take turns. docs/benchmarks.md says how to read the figures.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple

import typer
from contender import Spread
from rich.console import Console
from rich.progress import track
from rich.table import Table

from penstock_shared.cli import guarded
from penstock_shared.request import Sampling
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import Metering
from penstock_workers.engine.protocol import EngineRequest
from penstock_workers.models import engine_config

_WARM_UP: Final = 2  # rounds, not counted
_WORDS: Final = 1000  # ids of tokens that prompts are made of
_BLOCK: Final = 16  # tokens, so that a shared part is whole blocks

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def metering(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="last line of stdout: JSON")] = False,
    model: Annotated[str, typer.Option(help="a built-in toy, or a folder")] = "penstock-toys/small",
    requests: Annotated[int, typer.Option(min=1, help="in the engine at once")] = 64,
    tokens: Annotated[int, typer.Option(min=2, help="of each answer")] = 128,
    prompt: Annotated[int, typer.Option(min=2, help="tokens of each prompt")] = 160,
    shared: Annotated[int, typer.Option(min=0, help="of them the same in all prompts")] = 0,
    rule: Annotated[Metering, typer.Option(help="how prices are divided")] = Metering.KV,
    rounds: Annotated[int, typer.Option(min=1, help="rounds with, and as many without")] = 20,
) -> None:
    """Measure what metering costs on this machine."""
    tier = TierSettings(
        model=model,
        price_per_hour=Decimal(1),
        metering=rule,
        max_num_seqs=requests,
        kv_cache_memory_bytes=512 * 2**20,
        cpu_threads=1,
        enforce_eager=True,
    )
    bench = _Bench(tier, requests, tokens, prompt, shared - shared % _BLOCK)
    for _ in range(_WARM_UP):
        bench.round(metered=True)
    pairs = [_pair(bench, number) for number in track(range(rounds), "rounds", console=_err)]
    _report(bench, pairs, as_json=as_json)


_err: Final = Console(stderr=True)


class _Round(NamedTuple):
    """One round: what it generated, and what that took."""

    tokens: int
    wall_s: float
    cpu_s: float  # of this process: other processes do not make it longer

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.wall_s

    @property
    def tokens_per_cpu_s(self) -> float:
        return self.tokens / self.cpu_s


_Pair = tuple[_Round, _Round]  # with, without


class _Bench:
    """An engine whose metering can be switched off, and the requests of a round."""

    def __init__(
        self, tier: TierSettings, requests: int, tokens: int, prompt: int, shared: int
    ) -> None:
        config = engine_config(tier, time.monotonic_ns())
        os.environ.update(config.environment)  # before torch is loaded
        self.engine = _switchable()(config)
        self._sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True)
        self._requests, self._tokens = requests, tokens
        self._prompt, self._shared = prompt, shared
        self._made = 0

    def round(self, *, metered: bool) -> _Round:
        """Fill the engine at once, and step it until it is empty."""
        self.engine.is_metered = metered
        for _ in range(self._requests):
            refused = self.engine.add(self._next_request())
            if refused is not None:
                raise RuntimeError(f"a request was refused ({refused.error})")
        wall, cpu = time.perf_counter(), time.process_time()
        while self.engine.is_busy:
            self.engine.step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return _Round(self._requests * self._tokens, wall, cpu)

    def _next_request(self) -> EngineRequest:
        self._made += 1
        own = range(self._made * 31, self._made * 31 + self._prompt - self._shared)
        ids = (*range(self._shared), *(number * self._made % _WORDS for number in own))
        return EngineRequest(f"r{self._made}", ids, self._sampling, "salt")


def _switchable() -> Callable[[Any], Any]:
    """The engine of the workers, with a switch and a stopwatch on its metering."""
    from penstock_workers.engine.vllm_engine import VllmEngine

    class Switchable(VllmEngine):
        is_metered = True
        metering_s = 0.0
        metered_steps = 0

        def _note_weights(self, step: Any) -> None:
            if self.is_metered:
                start = time.thread_time()
                super()._note_weights(step)
                self.metering_s += time.thread_time() - start

        def _book(self) -> None:
            if self.is_metered:
                start = time.thread_time()
                super()._book()
                self.metering_s += time.thread_time() - start
                self.metered_steps += 1

    return Switchable


def _pair(bench: _Bench, number: int) -> _Pair:
    """Both ways, in an order that turns around each time: the machine's mood changes."""
    if number % 2:
        without = bench.round(metered=False)
        return bench.round(metered=True), without
    with_it = bench.round(metered=True)
    return with_it, bench.round(metered=False)


def _report(bench: _Bench, pairs: list[_Pair], *, as_json: bool) -> None:
    engine = bench.engine
    lines = [
        ("tokens_per_s", "tokens/s, metered", Spread.of([m.tokens_per_s for m, _ in pairs]), 0),
        ("tokens_per_s_without", "without", Spread.of([b.tokens_per_s for _, b in pairs]), 0),
        ("ratio", "ratio, by wall clock", _ratios(pairs, lambda r: r.tokens_per_s), 4),
        ("cpu_ratio", "ratio, by CPU time", _ratios(pairs, lambda r: r.tokens_per_cpu_s), 4),
    ]
    share = engine.metering_s / sum(run.cpu_s for run, _ in pairs)
    step_us = engine.metering_s / engine.metered_steps * 1e6
    if as_json:
        found = {key: spread.rounded(digits) for key, _, spread, digits in lines}
        found |= {
            "ratio_of_medians": round(lines[0][2].median / lines[1][2].median, 4),
            "metering_share_of_cpu": round(share, 5),
            "metering_us_per_step": round(step_us, 1),
        }
        sys.stdout.write(json.dumps(found) + "\n")
        return
    table = Table("what metering costs", "median", "range")
    for _, label, spread, digits in lines:
        low, high = f"{spread.lowest:.{digits}f}", f"{spread.highest:.{digits}f}"
        table.add_row(label, f"{spread.median:.{digits}f}", f"{low} to {high}")
    table.add_row("metering, of the CPU time", f"{share:.2%}", f"{step_us:.0f} µs a step")
    Console().print(table)


def _ratios(pairs: list[_Pair], speed: Callable[[_Round], float]) -> Spread:
    """With over without, pair by pair."""
    return Spread.of([speed(metered) / speed(bare) for metered, bare in pairs])


if __name__ == "__main__":
    guarded(app)
