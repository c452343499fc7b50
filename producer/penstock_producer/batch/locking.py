"""One process at a time writes to an output."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock_shared.errors import BatchBusy, InvalidBatch


class OutputLock:
    """Held from ``acquire`` to ``release``; the kernel lets go when we die, however we die.

    It is a file beside the output, gone when nobody holds it.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out.with_name(f".{out.name}.lock")
        self._file: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Raises BatchBusy, and InvalidBatch when there can be no file at this place."""
        while self._file is None:
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise InvalidBatch(f"{self._out} cannot be written: {error.strerror}") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                raise BatchBusy(
                    f"another command writes to {self._out}; wait for it, or stop it"
                ) from None
            if self._is_there(file):
                self._file = file
            else:  # its holder took it away before we had it
                os.close(file)

    def release(self) -> None:
        """Let others write."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False
