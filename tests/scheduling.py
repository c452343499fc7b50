"""vLLM's scheduler as far as yielding knows it, and an engine around it that counts tokens only."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from penstock_workers.engine.share import Share
from penstock_workers.engine.yielding import BACKGROUND, FOREGROUND, Yielding

SEATS = 4
MANY_BLOCKS = 10**6


@dataclass(eq=False)
class Request:
    """As vLLM's; ``answer`` counts tokens."""

    request_id: str
    prompt: int
    answer: int
    priority: int
    arrival_time: int
    status: Any = field(default_factory=lambda: SimpleNamespace(name="WAITING"))
    next_decode_eligible_step: int = 0
    computed: int = 0
    made: int = 0
    spec_token_ids: list[int] = field(default_factory=list)

    @property
    def num_tokens(self) -> int:
        return self.prompt + self.made

    @property
    def is_prefill_chunk(self) -> bool:
        return self.status.name == "RUNNING" and self.computed < self.num_tokens - 1


class Queue(list[Request]):
    """As vLLM's queue by priority."""

    def remove_requests(self, requests: set[Request]) -> None:
        self[:] = [request for request in self if request not in requests]

    def add_request(self, request: Request) -> None:
        self.append(request)
        self.sort(key=lambda r: (r.priority, r.arrival_time))


class Scheduler:
    """As vLLM's, with a token of the KV cache for a block."""

    def __init__(self, blocks: int) -> None:
        self.running: list[Request] = []
        self.waiting = Queue()
        self.requests: dict[str, Request] = {}
        self.blocks = blocks
        self.current_step = 0
        self.max_num_active_reqs = SEATS
        self.max_num_scheduled_tokens = 4096
        self.preempted: set[str] = set()  # since the last step
        self.num_spec_tokens = 0
        self.scheduler_config = SimpleNamespace(
            enable_chunked_prefill=True, long_prefill_token_threshold=0
        )

    @property
    def kv_cache_manager(self) -> Any:
        return SimpleNamespace(usage=sum(r.computed for r in self.running) / self.blocks)

    def schedule(self, throttle_prefills: bool = False) -> Any:
        self.current_step += 1
        computed: dict[str, int] = {}
        free = self.blocks - sum(request.computed for request in self.running)
        is_preempting = False
        for request in sorted(self.running, key=lambda r: (r.priority, r.arrival_time)):
            if self.current_step < request.next_decode_eligible_step:
                continue
            while request in self.running and free < (tokens := self._tokens(request)):
                victim = max(self.running, key=lambda r: (r.priority, r.arrival_time))
                self.running.remove(victim)
                free += victim.computed + computed.pop(victim.request_id, 0)
                self._preempt_request(victim, 0.0)
                is_preempting = True
            if request in self.running:
                computed[request.request_id] = tokens
                free -= tokens
        while self.waiting and len(self.running) < SEATS and not is_preempting:
            budget = self.max_num_scheduled_tokens - sum(computed.values())
            if not budget or (tokens := min(self._tokens(self.waiting[0]), budget)) > free:
                break
            request = self.waiting.pop(0)
            request.status = SimpleNamespace(name="RUNNING")
            self.running.append(request)
            computed[request.request_id] = tokens
            free -= tokens
        assert len(self.running) <= SEATS
        assert not self.preempted & computed.keys()  # the model runner must see them gone first
        self.preempted.clear()
        return SimpleNamespace(
            num_scheduled_tokens=computed, total_num_scheduled_tokens=sum(computed.values())
        )

    def _tokens(self, request: Request) -> int:
        threshold = self.scheduler_config.long_prefill_token_threshold or MANY_BLOCKS
        return min(request.num_tokens - request.computed, threshold)

    def _preempt_request(self, request: Request, timestamp: float) -> None:
        request.status = SimpleNamespace(name="PREEMPTED")
        request.computed = 0
        self.preempted.add(request.request_id)
        self.waiting.add_request(request)

    def _request_blocks_can_be_freed(self, request: Request) -> bool:
        return True


class World:
    """An engine: what is in it, what was computed in each step, and who has come to an end."""

    def __init__(self, blocks: int = MANY_BLOCKS, slowdown: float = 1.5) -> None:
        self.scheduler = Scheduler(blocks)
        self.yielding = Yielding(self.scheduler, Share(slowdown), lambda: 0.0)
        self.ended: list[str] = []
        self.arrivals = 0

    def add(self, name: str, *, prompt: int = 4, answer: int = 10, background: bool) -> None:
        self.arrivals += 1
        priority = BACKGROUND if background else FOREGROUND
        request = Request(name, prompt, answer, priority, self.arrivals)
        self.scheduler.requests[name] = request
        self.scheduler.waiting.add_request(request)
        self.yielding.add(name, background=background)

    def step(self, seconds: Callable[[set[str]], float] = len) -> set[str]:
        """Run one; it takes a second for each request in it, if nobody says otherwise."""
        step = self.scheduler.schedule()
        computed: dict[str, int] = step.num_scheduled_tokens
        for name, tokens in computed.items():
            request = self.scheduler.requests[name]
            request.computed += tokens
            request.made += request.computed == request.num_tokens
        self.yielding.note(step)
        for name in computed:
            if (request := self.scheduler.requests[name]).made == request.answer:
                self.scheduler.running.remove(request)
                self.leave(name)
                self.ended.append(name)
        self.yielding.book(seconds(set(computed)))
        return set(computed)

    def leave(self, name: str) -> None:
        request = self.scheduler.requests.pop(name)
        self.scheduler.waiting.remove_requests({request})
        if request in self.scheduler.running:
            self.scheduler.running.remove(request)
        self.yielding.remove(name)

    def waiting(self, priority: int) -> list[str]:
        return [r.request_id for r in self.scheduler.waiting if r.priority == priority]

    def seated(self, priority: int) -> list[str]:
        return [r.request_id for r in self.scheduler.running if r.priority == priority]
