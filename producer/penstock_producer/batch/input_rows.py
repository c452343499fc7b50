"""The rows of an input by their numbers, while their lines end in any order."""

import json
import os
import struct
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

_PLACE: Final = struct.Struct("<QQ")  # offset and bytes of a row


class InputRows:
    """A copy of the rows in files without names, gone with this process; memory does not grow.

    ``fill`` runs in a thread of its own, ``get`` waits until the row is there.
    """

    def __init__(self, rows: Iterable[tuple[int, Mapping[str, Any]]], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rows = rows
        self._content = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._places = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._size = 0
        self._upto = 0
        self._is_over = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def fill(self) -> None:
        """Copy all rows. What goes wrong is raised by ``get``."""
        try:
            for number, values in self._rows:
                if self._is_over:
                    return
                self._add(number, values)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            self._error = error
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def get(self, number: int) -> dict[str, Any]:
        """The row of this number; empty when there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._upto >= number or self._is_over)
        if self._error is not None:
            raise self._error
        place = os.pread(self._places.fileno(), _PLACE.size, number * _PLACE.size)
        offset, size = _PLACE.unpack(place) if place else (0, 0)
        if not size:
            return {}
        row: dict[str, Any] = json.loads(os.pread(self._content.fileno(), size, offset))
        return row

    def stop(self) -> None:
        """Let ``fill`` end before the last row."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def close(self) -> None:
        """Free the files; ``fill`` must have ended."""
        self._content.close()
        self._places.close()

    def _add(self, number: int, values: Mapping[str, Any]) -> None:
        row = json.dumps(values, ensure_ascii=False, default=str).encode(errors="replace")
        os.pwrite(self._content.fileno(), row, self._size)
        place = _PLACE.pack(self._size, len(row))
        os.pwrite(self._places.fileno(), place, number * _PLACE.size)
        self._size += len(row)
        with self._changed:
            self._upto = number
            self._changed.notify_all()
