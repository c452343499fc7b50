"""A folder for what one command keeps on disk while it works."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = "batch-"
_NEW_S: Final = 60.0  # a folder is there a moment before it is locked


@contextmanager
def own_folder(home: Path) -> Iterator[Path]:
    """A folder in ``home`` that is gone afterwards; those that killed commands left go as well."""
    home.mkdir(parents=True, exist_ok=True)
    _remove_left(home)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go when we die, however we die
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_left(home: Path) -> None:
    for folder in home.glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < _NEW_S:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue  # another command was faster, or it is no folder
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # its command works
        finally:
            os.close(lock)
