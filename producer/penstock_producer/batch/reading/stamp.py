"""Whether an input is still what it was before anything was read of it."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from penstock_producer.batch.reading.documents import Folder


class Stamp:
    """Sizes, times and inodes of a file, or of all documents of a folder, without their contents.

    A look takes some microseconds for each file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = self._look()

    def holds(self) -> bool:
        """Whether nothing was written, put in place of another, added or taken away since."""
        return self._look() == self._first

    def _look(self) -> str:
        digest = hashlib.sha256()
        for path in self._files():
            try:
                found = path.stat()
                facts = (found.st_size, found.st_mtime_ns, found.st_ino)
            except OSError as error:
                facts = (error.errno or 0, 0, 0)
            digest.update(os.fsencode(path) + repr(facts).encode())
        return digest.hexdigest()

    def _files(self) -> Iterator[Path]:
        if self._path.is_dir():
            return (document.path for document in Folder(self._path).walk())
        return iter([self._path])
