"""One caller in the chaos drill: submits a plan, and writes down all it sees outside the system.

``python -m penstock_producer.drill_client --home H --plan PLAN.jsonl --history OUT.jsonl`` prints
"ready" and begins with the line "go" on its standard input. With "finish" it waits until all its
jobs have ended ("give up" ends every wait), reads them all once more, and exits.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock_producer.client import Client
from penstock_producer.waiting import Ended
from penstock_shared import clock, money
from penstock_shared.errors import PenstockError, Unavailable
from penstock_shared.request import Request
from penstock_shared.result import Result

_GROUP: Final = 64  # submitted in one call when they are due together
_READ_GROUP: Final = 500
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_TAKE_S: Final = 0.2
_TICK_S: Final = 0.05
_LAST_READING_S: Final = 60.0

Event = dict[str, Any]


class PlanLine(NamedTuple):
    """One prompt, when it is to be submitted, and what kind it is."""

    at_s: float
    key: str | None
    prompt: str
    max_tokens: int
    kind: str
    sampling: Mapping[str, Any] = {}

    def event(self, name: str, **more: object) -> Event:
        """An event of the history about this line."""
        return {"event": name, "key": self.key, "prompt": self.prompt, "kind": self.kind, **more}

    def request(self) -> Request:
        """The request. Raises InvalidRequest."""
        arguments = {"max_tokens": self.max_tokens, **self.sampling}
        return Request.build(self.prompt, idempotency_key=self.key, **arguments)


def read_plan(path: Path) -> list[PlanLine]:
    """The lines of a plan, in their order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [PlanLine(**json.loads(line)) for line in lines if line]


class Journal:
    """An append-only file; what was appended is on the disk when ``append`` returns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, events: Iterable[Event]) -> None:
        """Write events of one moment: one write, one fsync."""
        now = clock.now_ms()
        lines = "".join(f"{json.dumps({**event, 'at_ms': now})}\n" for event in events).encode()
        if not lines:
            return
        with self._lock:
            while lines:
                lines = lines[os.write(self._file, lines) :]
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Orders:
    """What the drill says on the standard input; its end means that nobody needs us any more."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self.go, self.finish, self.give_up = (threading.Event() for _ in range(3))
        threading.Thread(target=self._listen, args=(source,), daemon=True).start()

    def _listen(self, source: Iterable[bytes]) -> None:
        known = {b"go": self.go, b"finish": self.finish}
        for line in source:
            if line.strip() not in known:
                break
            known[line.strip()].set()
        for event in (self.give_up, self.finish, self.go):
            event.set()


class Reader:
    """Reads each job as soon as it has ended, in a thread of its own."""

    def __init__(self, client: Client, journal: Journal) -> None:
        self._client = client
        self._journal = journal
        self._ended = Ended()
        self._jobs: dict[str, bool] = {}  # in the order in which they were accepted; True: read
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def waits(self) -> bool:
        """True while some job has not been seen to end."""
        return not all(list(self._jobs.values()))

    def expect(self, job_ids: Iterable[str]) -> None:
        """Read these jobs when they end."""
        new = [job_id for job_id in job_ids if job_id not in self._jobs]
        self._jobs.update(dict.fromkeys(new, False))
        self._client.watch(new, self._ended)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def read_again(self, *, within_s: float = _LAST_READING_S) -> None:
        """Read all jobs a second time. Raises Unavailable when there is no ledger for long."""
        end = time.monotonic() + within_s
        job_ids = list(self._jobs)
        for start in range(0, len(job_ids), _READ_GROUP):
            some = job_ids[start : start + _READ_GROUP]
            found = self._fetch(some, lambda: time.monotonic() > end)
            if found is None:
                raise Unavailable(f"the ledger could not be read for {within_s:g} s")
            self._journal.append(_seen(job_id, found.get(job_id), 2) for job_id in some)

    def _run(self) -> None:
        while not self._stopped.is_set():
            some = self._ended.take(_TAKE_S)
            found = self._fetch(some, self._stopped.is_set) if some else {}
            ended = [r for r in (found or {}).values() if r.status.is_terminal]
            self._journal.append(_seen(result.job_id, result, 1) for result in ended)
            self._jobs.update({result.job_id: True for result in ended})
            if open_again := [job_id for job_id in some if not self._jobs[job_id]]:
                self._stopped.wait(_FIRST_PAUSE_S)
                self._client.watch(open_again, self._ended)

    def _fetch(
        self, job_ids: Sequence[str], is_over: Callable[[], bool]
    ) -> dict[str, Result] | None:
        """Read jobs, again and again while there is no ledger; None when the time is over."""
        while True:
            try:
                return self._client.fetch_many(job_ids)
            except Unavailable:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, the history shows it
                self._journal.append([_trouble("read", error)])
            if is_over():
                return None
            time.sleep(_TAKE_S)


class Submitter:
    """Submits each line at its time, in order, and again while nobody knows what became of it."""

    def __init__(self, client: Client, journal: Journal, reader: Reader, orders: Orders) -> None:
        self._client = client
        self._journal = journal
        self._reader = reader
        self._give_up = orders.give_up

    def run(self, plan: Iterable[PlanLine]) -> None:
        """Submit a plan; returns when the outcome of each line is known, or told to give up."""
        started = time.monotonic()
        waiting = deque(plan)
        pause_s = _FIRST_PAUSE_S
        while waiting and not self._give_up.is_set():
            now_s = time.monotonic() - started
            group = [line for line in islice(waiting, _GROUP) if line.at_s <= now_s]
            if not group:
                self._give_up.wait(waiting[0].at_s - now_s)
                continue
            for _ in group:
                waiting.popleft()
            unsure = self._submit(group)
            # They stay in front: what depends on a key comes after the line that uses it first.
            waiting.extendleft(line for line in reversed(unsure) if line.key is not None)
            if unsure:
                self._give_up.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if unsure else _FIRST_PAUSE_S

    def _submit(self, group: Sequence[PlanLine]) -> Sequence[PlanLine]:
        """Submit lines that are due; returns those of which nobody knows whether they arrived."""
        self._journal.append(line.event("submit") for line in group)
        events: list[Event] = []
        valid: list[tuple[PlanLine, Request]] = []
        for line in group:
            try:
                valid.append((line, line.request()))
            except PenstockError as error:
                events.append(line.event("refused", code=error.code))
        unsure: list[PlanLine] = []
        try:
            receipts = self._client.submit_group([request for _, request in valid])
        except Exception as error:  # noqa: BLE001 - whatever it is, the history shows it
            unsure = [line for line, _ in valid]
            events += [line.event("unsure", code=_code(error)) for line in unsure]
            if not isinstance(error, Unavailable):
                events.append(_trouble("submit", error))
        else:
            for (line, _), receipt in zip(valid, receipts, strict=True):
                if receipt.accepted is None:
                    events.append(line.event("refused", code=_code(receipt.error)))
                else:
                    job_id, is_new = receipt.accepted.job_id, receipt.accepted.is_new
                    events.append(line.event("accepted", job_id=job_id, is_new=is_new))
        self._journal.append(events)
        self._reader.expect(event["job_id"] for event in events if event["event"] == "accepted")
        return unsure


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one caller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the drill, which tells us
    parser = argparse.ArgumentParser(prog="penstock_producer.drill_client")
    for name in ("--home", "--plan", "--history"):
        parser.add_argument(name, type=Path, required=True)
    given = parser.parse_args(arguments)
    plan = read_plan(given.plan)
    # Without the buffer of sys.stdin: no thread may hold its lock when we exit.
    orders = Orders(FileIO(sys.stdin.fileno(), closefd=False))
    journal = Journal(given.history)
    with _client(given.home, orders) as client:
        reader = Reader(client, journal)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        orders.go.wait()
        Submitter(client, journal, reader, orders).run(plan)
        orders.finish.wait()
        while reader.waits and not orders.give_up.wait(_TICK_S):
            pass
        reader.stop()
        reader.read_again()
    journal.close()


def _client(home: Path, orders: Orders) -> Client:
    while True:
        try:
            return Client(home=home)
        except Unavailable:
            if orders.give_up.wait(_LONGEST_PAUSE_S):
                raise


def _seen(job_id: str, result: Result | None, reading: int) -> Event:
    event: Event = {"event": "ended", "job_id": job_id, "reading": reading, "status": "missing"}
    event |= {"digest": None, "charge": None, "attempts": 0}
    if result is None:
        return event
    return event | {
        "status": result.status.value,
        "digest": None if result.text is None else _digest(result.text),
        "charge": None if result.charge_usd is None else money.usd_text(result.charge_usd),
        "attempts": result.attempts,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _code(error: Exception | None) -> str:
    return error.code if isinstance(error, PenstockError) else type(error).__name__


def _trouble(doing: str, error: Exception) -> Event:
    return {"event": "trouble", "doing": doing, "error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
