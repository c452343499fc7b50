"""The ids of a batch that were seen, in bounded memory however many there are.

A filter of bits answers for nearly every new id; what it does not know for sure is looked up,
exactly, among the newest ids in memory and the others in a temporary SQLite file.
"""

import hashlib
import itertools
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, Self

from penstock_producer.batch.reading.line import Line, LineError

_FILTER_BYTES: Final = 32 * 1024 * 1024  # of 20 million new ids, one in 120 is looked up
_NEWEST: Final = 50_000
_CACHE_KIB: Final = 32 * 1024
_INSERTED: Final = 50  # rows in a statement; a statement for each takes a third longer
_positions = struct.Struct("<3I4x").unpack


class Seen:
    """Which line had an id first. ``folder`` holds a temporary file until ``close``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Untouched pages of it take no memory.
        self._filter = bytearray(_FILTER_BYTES)
        self._newest: dict[bytes, int] = {}
        self._file = NamedTemporaryFile(dir=folder, prefix="seen-", suffix=".db")  # noqa: SIM115
        self._older = sqlite3.connect(self._file.name, isolation_level=None)
        self._older.executescript(
            f"""
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
            PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -{_CACHE_KIB};
            CREATE TABLE seen (id BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the temporary file."""
        self._older.close()
        self._file.close()

    def add(self, custom_id: str, number: int) -> int | None:
        """Note that line ``number`` has the id; the number of the line that had it first."""
        key = hashlib.blake2b(custom_id.encode(errors="surrogatepass"), digest_size=16).digest()
        if self._may_have(key):
            first = self._lookup(key)
            if first is not None:
                return first
        self._newest[key] = number
        if len(self._newest) >= _NEWEST:
            self._put_away()
        return None

    def _may_have(self, key: bytes) -> bool:
        """False when the key is new for sure; it is known from now on."""
        bits = self._filter
        one, two, three = _positions(key)
        # 32 bits of the key: the upper 25 are a byte of the filter, the lower 3 a bit of it.
        places = one >> 7, two >> 7, three >> 7
        first, second, third = 1 << (one & 7), 1 << (two & 7), 1 << (three & 7)
        if bits[places[0]] & first and bits[places[1]] & second and bits[places[2]] & third:
            return True
        bits[places[0]] |= first
        bits[places[1]] |= second
        bits[places[2]] |= third
        return False

    def _lookup(self, key: bytes) -> int | None:
        first = self._newest.get(key)
        if first is not None:
            return first
        row = self._older.execute("SELECT number FROM seen WHERE id = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def _put_away(self) -> None:
        values = list(itertools.chain.from_iterable(sorted(self._newest.items())))
        self._older.execute("BEGIN")
        for begin in range(0, len(values), 2 * _INSERTED):
            some = values[begin : begin + 2 * _INSERTED]
            rows = ", ".join(["(?, ?)"] * (len(some) // 2))
            self._older.execute(f"INSERT INTO seen VALUES {rows}", some)  # noqa: S608
        self._older.execute("COMMIT")
        self._newest.clear()


def without_duplicates(lines: Iterable[Line], folder: Path) -> Iterator[Line]:
    """The lines; one whose custom_id an earlier line had carries duplicate_custom_id instead.

    The lines must begin with the first of the input. ``folder`` takes a temporary file.
    """
    with Seen(folder) as seen:
        for line in lines:
            first = None if line.custom_id is None else seen.add(line.custom_id, line.number)
            yield line if first is None else line._replace(routed=None, error=_twice(first))


def _twice(first: int) -> LineError:
    return LineError(
        "duplicate_custom_id",
        f"this custom_id was on line {first:,} already; give each line its own",
        "custom_id",
    )
