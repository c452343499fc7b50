"""A home: the folder with all state of one stack, held by one process at a time."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from penstock_shared.errors import HomeInUse, SettingsError
from penstock_shared.settings_source import STACK_FILE

_LOCK_FILE: Final = "up.lock"
_SECRETS_FILE: Final = "secrets.json"


@contextmanager
def hold(home: Path) -> Iterator[None]:
    """Hold a home; the kernel lets go when we die, however we die. Raises HomeInUse."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(home / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"the home {home} cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode() or "unknown"
            raise HomeInUse(
                f"a stack (process {holder}) already runs on {home}; "
                "use it, stop it, or name another folder with --home"
            ) from None
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)


def write_connection(home: Path, connection: dict[str, Any]) -> None:
    """Let other commands on this home find the stack."""
    _write_private(home / STACK_FILE, connection)


def password_of(home: Path, name: str) -> str:
    """A password of this home, made at first use."""
    path = home / _SECRETS_FILE
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = secrets.token_urlsafe(24)
        _write_private(path, known)
    return known[name]


def _write_private(path: Path, values: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)
