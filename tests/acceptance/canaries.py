"""Canaries: words that may be nowhere but where they belong, and the places to look for them."""

import base64
import binascii
import re
import secrets
import threading
import urllib.error
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from celery import Celery
from redis import Redis

from tests.acceptance.command import Home, wait_until
from tests.acceptance.flower import ask_flower, password_of, tasks_of

_WRAPPED: Final = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_PLAIN: Final = re.compile(r"[A-Za-z ]+")
_PIECE_CHARS: Final = 16
_HEARS_S: Final = 200.0

Places = Mapping[str, bytes]


def a_canary(name: str) -> str:
    """A word that nobody has ever written."""
    return f"canary-{name}-{secrets.token_hex(6)}"


def pieces(answer: str) -> list[str]:
    """Parts of an answer that look the same however it is quoted."""
    found = [
        run[start : start + _PIECE_CHARS]
        for run in _PLAIN.findall(answer)
        for start in range(0, len(run) - _PIECE_CHARS + 1, _PIECE_CHARS)
    ]
    return [piece for piece in found if len(piece.split()) > 1]


def sightings(canaries: Iterable[str], places: Places) -> list[tuple[str, str]]:
    """Where which canary is, also inside of base64, in which Celery wraps what a message says."""
    readable = {place: _unwrapped(content) for place, content in places.items()}
    return [
        (place, canary)
        for canary in canaries
        for place, content in readable.items()
        if canary.encode() in content
    ]


def files_in(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by their path in it."""
    found = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
        except FileNotFoundError:  # a sign of life is replaced all the time
            continue
    return found


def keys_of(redis: Redis) -> dict[str, bytes]:
    """All that a Redis holds, by key."""
    readers: dict[Any, Callable[[Any], Any]] = {
        b"none": lambda key: None,  # it is gone since we heard of it
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"stream": redis.xrange,
    }
    return {
        key.decode(): key + b"\n" + repr(readers[redis.type(key)](key)).encode()
        for key in redis.scan_iter()
    }


def pages_of_flower(home: Home, ids: Iterable[str]) -> dict[str, bytes]:
    """What Flower shows in its pages and by its interface, also about each of these jobs."""
    password = password_of(home)
    workers = {str(worker) for task in tasks_of(home).values() if (worker := task.get("worker"))}
    paths = [
        *("/workers", "/tasks", "/broker", "/metrics", "/api/tasks?limit=10000"),
        *("/api/workers?refresh=1", "/api/queues/length"),
        *(f"/{kind}/{job_id}" for job_id in ids for kind in ("task", "api/task/info")),
    ]
    found = {path: ask_flower(home, path, password=password).encode() for path in paths}
    wait_until(lambda: found.update(_pages_of(home, workers)) or _shows_worker(found), _HEARS_S)
    return found


def command_lines() -> dict[str, bytes]:
    """How every process of this machine was called."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue
    return found


@contextmanager
def events_of(app: Celery) -> Iterator[list[dict[str, Any]]]:
    """What those hear who watch the workers' events, from now on."""
    heard: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": heard.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        thread.start()
        try:
            wait_until(lambda: heard, _HEARS_S)  # a worker's heartbeat: now we are subscribed
            yield heard
        finally:
            receiver.should_stop = True
            thread.join()


def _pages_of(home: Home, workers: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Flower's pages of workers; it has none of one that has ended, or is slow to answer it."""
    password = password_of(home)
    for path in (f"/worker/{name}" for name in workers):
        try:
            yield path, ask_flower(home, path, password=password).encode()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != HTTPStatus.NOT_FOUND:
                raise


def _shows_worker(pages: Iterable[str]) -> bool:
    return any(page.startswith("/worker/") for page in pages)


def _unwrapped(content: bytes) -> bytes:
    return b"\n".join([content, *filter(None, map(_inside, _WRAPPED.findall(content)))])


def _inside(wrapped: bytes) -> bytes:
    try:
        return base64.b64decode(wrapped, validate=True)
    except binascii.Error:
        return b""
