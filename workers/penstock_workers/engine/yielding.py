"""Yielding: background requests fill the room that foreground requests leave in the engine.

While both kinds are inside, the share decides which steps are full and which are light. In a light
step background requests are parked: they keep their place and their KV blocks in vLLM, which
leaves them out of the step as it leaves out any request for which a step has no room.

vLLM's scheduler is passed in, so that nothing is imported here. A request is parked by
``next_decode_eligible_step``, which vLLM itself uses to leave a running request out of steps: it
stays in ``running``, where aborts and preemption find it, and comes back by itself.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from penstock_workers.engine.share import Share

FOREGROUND: Final = 0  # vLLM's priorities: the lower one is scheduled first and preempted last
BACKGROUND: Final = 1
_PIECE_TOKENS: Final = 256  # of background prompts in a step that the foreground waits for
_MOST_USAGE: Final = 7 / 8  # of the KV cache; above it nobody comes in from the background
_ON_DEVICE: Final = -1  # stands for a draft that vLLM's scheduler has not seen
_READY: Final = frozenset({"WAITING", "PREEMPTED"})  # states in vLLM


class Yielding:
    """Stands before the scheduler of one engine; all methods belong to the thread that steps it."""

    def __init__(self, scheduler: Any, share: Share, now_s: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self._share = share
        self._now_s = now_s
        self._schedule = scheduler.schedule
        scheduler.schedule = self._decide_and_schedule
        self._foreground: set[str] = set()  # vLLM's ids
        self._background: dict[str, Any] = {}  # vLLM's requests, by id
        self._begun: deque[bool] = deque()  # for each step that is not booked: is it a full one?
        self._computed: Any = None  # vLLM's SchedulerOutput of the step that is to be booked
        self._elapsed_s = 0.0
        self._waited_s = 0.0
        self._is_shared = False
        self._hungry: set[str] = set()  # foreground requests that got no memory in the last step
        self._in_vain = 0  # steps in a row

    def add(self, request_id: str, *, background: bool) -> None:
        """A request has come into vLLM, under vLLM's id."""
        if background:
            self._background[request_id] = self._scheduler.requests[request_id]
        else:
            self._foreground.add(request_id)

    def remove(self, request_id: str) -> None:
        """A request has left vLLM."""
        self._background.pop(request_id, None)
        self._foreground.discard(request_id)
        if not self._background and not self._foreground:
            self._waited_s = self._elapsed_s = 0.0

    def lets_in(self, prompt_tokens: int) -> bool:
        """True when a background request with such a prompt may come into vLLM now."""
        if not self._foreground:
            return True
        waiting = [r for r in self._background.values() if r.status.name != "RUNNING"]
        tokens = sum(request.num_tokens for request in waiting)
        return self._has_memory and (not waiting or tokens + prompt_tokens <= _PIECE_TOKENS)

    def note(self, step: Any) -> None:
        """A step was computed; ``step`` is vLLM's SchedulerOutput."""
        self._computed = step

    def book(self, seconds: float) -> None:
        """So much time has passed in the engine; it belongs to the step that was noted."""
        self._elapsed_s += seconds
        if self._computed is None:
            return
        self._book(self._computed, self._elapsed_s)
        self._computed, self._elapsed_s = None, 0.0

    def _book(self, step: Any, seconds: float) -> None:
        self._begun.popleft()
        computed = step.num_scheduled_tokens
        has_background = not self._background.keys().isdisjoint(computed)
        has_foreground = not self._foreground.isdisjoint(computed)
        self._waited_s = 0.0 if has_foreground else seconds
        if not self._is_shared:
            return
        if has_foreground and has_background:
            self._share.book_full(seconds)
        elif has_foreground:
            most = len(computed) * (1 + self._scheduler.num_spec_tokens)  # tokens, without prompts
            has_prompts = step.total_num_scheduled_tokens > most
            self._share.book_light(seconds, has_prompts=has_prompts)
        elif not has_background:
            self._share.forgive()

    def _decide_and_schedule(self, *arguments: Any, **named: Any) -> Any:
        """vLLM's ``schedule``, for a step that is full or light."""
        was_shared, self._is_shared = self._is_shared, bool(self._foreground and self._background)
        if not self._is_shared:
            self._begun.append(False)
            return self._schedule(*arguments, **named)
        if not was_shared:
            self._share.begin(self._waited_s)
        is_full = self._share.next_is_full(sum(self._begun))
        self._begun.append(is_full)
        preempted = self._make_room()
        stay_out = self._waiting_in_background()
        if not is_full:
            self._park()
        elif not preempted:
            stay_out = stay_out[self._may_begin(stay_out) :]
        with self._hidden(stay_out), self._in_pieces(is_full=is_full):
            step = self._schedule(*arguments, **named)
        has_budget_left = step.total_num_scheduled_tokens < self._scheduler.max_num_scheduled_tokens
        self._hungry = {r.request_id for r in self._waiting_in_foreground() if has_budget_left}
        return step

    def _park(self) -> None:
        """Leave background requests out of the next step, and of no other.

        Drafts that are on the device only are lost when a request is not in the batch after them.
        """
        back_in = self._scheduler.current_step + 2  # vLLM counts the next one when it begins
        for request in self._background.values():
            request.next_decode_eligible_step = max(request.next_decode_eligible_step, back_in)
            if _ON_DEVICE in request.spec_token_ids:
                request.spec_token_ids = []

    def _make_room(self) -> bool:
        """Preempt background requests whose seats or blocks the foreground needs; True if any.

        How many blocks that takes is vLLM's secret: each step in vain doubles the number.
        """
        waiting = self._waiting_in_foreground()
        seats = self._scheduler.max_num_active_reqs - len(self._scheduler.running)
        wanted = max(0, len(waiting) - seats)
        if any(request.request_id in self._hungry for request in waiting):
            wanted = max(wanted, 2**self._in_vain)
            self._in_vain += 1
        else:
            self._in_vain = 0
        victims = self._last_come(wanted) if wanted else []
        for victim in victims:
            self._scheduler.running.remove(victim)
            self._scheduler._preempt_request(victim, self._now_s())  # noqa: SLF001 - as its own
        return bool(victims)

    def _last_come(self, most: int) -> list[Any]:
        """Those of the background that vLLM would preempt first, and may."""
        running = [r for r in self._scheduler.running if r.request_id in self._background]
        running.sort(key=lambda request: request.arrival_time, reverse=True)
        can_be_freed = self._scheduler._request_blocks_can_be_freed  # noqa: SLF001
        return [request for request in running[:most] if can_be_freed(request)]

    def _may_begin(self, waiting: Iterable[Any]) -> int:
        """How many of these a full step may begin: one, or several with short prompts."""
        if not self._has_memory or any(r.is_prefill_chunk for r in self._background.values()):
            return 0
        count = tokens = 0
        for request in waiting:
            tokens += request.num_tokens
            if count and tokens > _PIECE_TOKENS:
                break
            count += 1
        return count

    @property
    def _has_memory(self) -> bool:
        return bool(self._scheduler.kv_cache_manager.usage <= _MOST_USAGE)

    def _waiting_in_foreground(self) -> list[Any]:
        """Those that could be computed, if only they had seats and blocks."""
        return [
            request
            for request in self._scheduler.waiting
            if request.request_id not in self._background and request.status.name in _READY
        ]

    def _waiting_in_background(self) -> list[Any]:
        """In the order in which they are to begin."""
        return [r for r in self._scheduler.waiting if r.request_id in self._background]

    @contextmanager
    def _hidden(self, requests: Collection[Any]) -> Iterator[None]:
        """Keep these out of vLLM's waiting queue for one step."""
        if not requests:
            yield
            return
        self._scheduler.waiting.remove_requests(set(requests))
        try:
            yield
        finally:
            for request in requests:
                self._scheduler.waiting.add_request(request)

    @contextmanager
    def _in_pieces(self, *, is_full: bool) -> Iterator[None]:
        """Compute long prompts piece by piece in a full step, so that none takes all its time."""
        config = self._scheduler.scheduler_config
        if not is_full or not config.enable_chunked_prefill:
            yield
            return
        before = config.long_prefill_token_threshold
        config.long_prefill_token_threshold = min(before or _PIECE_TOKENS, _PIECE_TOKENS)
        try:
            yield
        finally:
            config.long_prefill_token_threshold = before
