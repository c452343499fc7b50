"""A file to which lines are appended, each once, whatever stopped those who did it before."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from penstock_producer.batch.layouts import Foreign, Layout, Written
from penstock_producer.batch.line_set import LineSet
from penstock_shared.errors import InvalidBatch, Unavailable

_SYNC_S: Final = 1.0
_BUFFER_BYTES: Final = 1024 * 1024
_FIRST_GROUP_BYTES: Final = 64 * 1024 * 1024  # more was never written without a sync
_BLANK: Final = b"\x00"


class OutputFile:
    """One of the files of a batch. It is made when there is something to write.

    ``lines`` counts the records in it. Raises InvalidBatch for content that is not of this batch,
    and Unavailable when the disk cannot be written.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.lines = 0
        self._layout = layout
        self._file: FileIO | None = None
        self._synced_at = 0.0

    def restore(self, see: Callable[[Written], None]) -> None:
        """Show what stands in the file, and cut off what was not wholly written."""
        if not self.path.exists():
            return
        end = 0
        with self.path.open("rb", _BUFFER_BYTES) as stream:
            for _, piece_end, written in self._pieces(stream):
                end = piece_end
                if written is not None:
                    see(written)
                    self.lines += 1
            size = stream.seek(0, os.SEEK_END)
            if end == 0 and size > 0:
                self._check_beginning(stream, size)
        if end < size:
            with self.path.open("r+b") as file:
                file.truncate(end)
                os.fsync(file.fileno())

    def check(self) -> None:
        """Raises InvalidBatch when the first line that stands there is not of this batch."""
        if not self.path.exists():
            return
        with self.path.open("rb", _BUFFER_BYTES) as stream:
            if not any(written is not None for _, _, written in self._pieces(stream)):
                self._check_beginning(stream, self.path.stat().st_size)

    def append(self, records: list[bytes]) -> None:
        """Add records. Once a second they are made to outlive a power cut."""
        try:
            file = self._opened()
            _write(file, b"".join(records))
            if time.monotonic() - self._synced_at > _SYNC_S:
                self.sync()
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.lines += len(records)

    def without(self, dropped: LineSet) -> None:
        """Take lines out: the file is written anew and replaced at once."""
        self.close()
        beside = beside_of(self.path)
        try:
            with self.path.open("rb", _BUFFER_BYTES) as stream, beside.open("wb") as file:
                kept = 0
                with self.path.open("rb", _BUFFER_BYTES) as content:
                    for start, end, written in self._pieces(stream):
                        raw = content.read(end - start)
                        if written is None or written.line not in dropped:
                            file.write(raw)
                            kept += written is not None
            replace(self.path, beside)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.lines = kept

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync and close; the next append opens the file again."""
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None

    def _opened(self) -> FileIO:
        if self._file is None:
            is_new = not self.path.exists()
            self._file = self.path.open("ab", buffering=0)
            if is_new:
                sync_folder(self.path)
            if self._layout.header and self.path.stat().st_size == 0:
                _write(self._file, self._layout.header)
                self.sync()
        return self._file

    def _pieces(self, stream: BinaryIO) -> Iterator[tuple[int, int, Written | None]]:
        start, count = 0, 0
        try:
            for piece in self._layout.pieces(stream):
                yield start, piece.end, piece.written
                start, count = piece.end, count + 1
        except Foreign as error:
            raise InvalidBatch(
                f"{self.path}, record {count + 1}: {error}; "
                "move the file away, or write to another one"
            ) from None

    def _check_beginning(self, stream: BinaryIO, size: int) -> None:
        """Nothing in the file is whole: it is ours only when it begins as ours do, or is blank."""
        stream.seek(0)
        content = stream.read(_FIRST_GROUP_BYTES)
        first = content.partition(_BLANK)[0]
        is_blank = not content.strip(_BLANK)
        is_ours = is_blank or (bool(first) and self._layout.may_begin(first))
        if not is_ours or size > _FIRST_GROUP_BYTES:
            raise InvalidBatch(
                f"{self.path} is no file of this batch; move it away, or write to another one"
            )


def _write(file: FileIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def beside_of(path: Path) -> Path:
    """Where the next content of a file is made."""
    return path.with_name(f".{path.name}.new")


def replace(path: Path, beside: Path) -> None:
    """Put a whole file in the place of another, so that there is always one of the two."""
    if path.exists():
        shutil.copymode(path, beside)
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path)


def sync_folder(path: Path) -> None:
    """Let the name of a new file outlive a power cut."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"{path} cannot be written ({error.strerror}); when it can be, "
        "the same command goes on where it was"
    )
