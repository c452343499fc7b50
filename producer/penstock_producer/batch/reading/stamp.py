"""Whether an input is still what it was before anything was read of it."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from penstock_producer.batch.reading.documents import Folder


def facts_of(path: Path) -> tuple[int, int, int]:
    """Size, time and inode of a file, or why there are none."""
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0, 0, 0)
    return (found.st_size, found.st_mtime_ns, found.st_ino)


class Stamp:
    """Size, time and inode of a file, or of all documents of a folder, without their contents."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = self._look()

    def holds(self) -> bool:
        """Whether nothing was written, put in place of another, added or taken away since.

        Of a folder, a look takes some microseconds for each document.
        """
        return self._look() == self._first

    def may_hold(self) -> bool:
        """The same where it costs nothing: documents are looked at as they are read."""
        return self._path.is_dir() or self.holds()

    def _look(self) -> str:
        digest = hashlib.sha256()
        for path in self._files():
            digest.update(os.fsencode(path) + repr(facts_of(path)).encode())
        return digest.hexdigest()

    def _files(self) -> Iterator[Path]:
        if self._path.is_dir():
            return (document.path for document in Folder(self._path).walk())
        return iter([self._path])
