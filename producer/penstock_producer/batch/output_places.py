"""Where the lines of a batch are written, and whether they can be, before anything is spent."""

import os
from pathlib import Path
from typing import Final, NamedTuple, Self

from penstock_producer.batch.output_file import OutputFile
from penstock_producer.batch.parquet_output import check_parquet
from penstock_producer.batch.shape import (
    DESCRIPTORS,
    STANDARD,
    Shape,
    errors_beside,
    file_of,
    place_of,
)
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches.records import BatchRecord

_FORMATS: Final = {
    ".jsonl": "JSON Lines",
    ".ndjson": "JSON Lines",
    ".json": "JSON Lines",
    ".csv": "CSV",
    ".tsv": "TSV",
    ".parquet": "Parquet",
    ".gz": "gzip",
    ".zst": "zstd",
}


class Places(NamedTuple):
    """OUT and ERR; "-" is standard output. Without ``errors`` all lines go to ``out``."""

    out: str
    errors: str | None

    @classmethod
    def of(cls, shape: Shape, out: str, errors: str | None) -> Self:
        """As a caller named them; what he did not say is where the format wants it."""
        if errors is not None:
            return cls(out, None if _is_same(errors, out) else errors)
        file = file_of(out)
        beside = str(errors_beside(file)) if file is not None and shape.format == "openai" else None
        return cls(out, beside)

    @property
    def files(self) -> list[Path]:
        """Those that are files, by their absolute paths."""
        return [file for file in map(file_of, self) if file is not None]


def check_places(
    record: BatchRecord, out: str | None, errors: str | None, *, with_input: bool = True
) -> None:
    """Raises InvalidBatch where OUT or ERR cannot be written as what its name says.

    That is a folder, a file that may not be written, the suffix of another format, or a file that
    is not of this batch.
    """
    if out is None:
        return
    shape = Shape.of(record)
    places = Places.of(shape, out, errors)
    is_parquet = shape.format == "parquet"
    lines = {"csv": "TSV" if shape.delimiter == "\t" else "CSV"}.get(shape.format, "JSON Lines")
    _check_place(out, "Parquet" if is_parquet else lines)
    if is_parquet and file_of(out) is None:
        raise InvalidBatch("a Parquet file cannot be written to a stream; name a file")
    if places.errors is not None:
        _check_place(places.errors, lines)
    layout = shape.layout(record.id, with_input=with_input)
    for number, file in enumerate(places.files):
        if is_parquet and number == 0:
            check_parquet(file, record.id, shape.table(with_input=with_input))
        else:
            OutputFile(file, layout).check()


def _is_same(one: str, other: str) -> bool:
    if place_of(one) == place_of(other):
        return True
    try:
        return STANDARD not in (one, other) and Path(one).samefile(other)
    except OSError:
        return False


def _check_place(place: str, written: str) -> None:
    if place == STANDARD or place in DESCRIPTORS:
        return
    path = Path(place)
    said = _FORMATS.get(path.suffix.lower(), written)
    if said != written:
        suffix = next(suffix for suffix, name in _FORMATS.items() if name == written)
        raise InvalidBatch(
            f"{path} would be written as {written}, and its name says {said}; "
            f"name a file that ends in {suffix}"
        )
    if not os.access(path, os.F_OK):
        return
    if path.is_dir():
        raise InvalidBatch(f"{path} is a folder; name a file in it")
    if not os.access(path, os.W_OK):
        raise InvalidBatch(f"{path} cannot be written: you have no permission")
