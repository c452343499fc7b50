"""What a batch was read from and what is written of it; kept as JSON in the batch's record."""

import json
import os
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

from penstock_producer.batch.inputs import Input
from penstock_producer.batch.layouts import Layout
from penstock_producer.batch.openai_output import OpenAIOutput
from penstock_producer.batch.preparing import reading_of
from penstock_producer.batch.reading.kinds import delimiter_of
from penstock_producer.batch.table_columns import TableColumns, table_columns
from penstock_producer.batch.table_output import CsvTable, JsonTable
from penstock_shared.ledger.batches.records import BatchRecord

Format = Literal["openai", "jsonl", "csv", "parquet"]
STANDARD: Final = "-"
DESCRIPTORS: Final = {"/dev/stdout": 1, "/dev/stderr": 2}  # streams, wherever they lead
_DOCUMENT: Final = ("document",)
_JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")


class Shape(NamedTuple):
    """``kind`` and ``columns`` are the input's, ``path`` is None where it is no file.

    ``errors`` is where error lines go, None: where ``format`` wants them. ``reading`` are the
    fields of ReadOptions. ``delimiter`` separates the fields of a CSV output.
    """

    kind: str
    format: Format
    columns: tuple[str, ...]
    path: str | None = None
    errors: str | None = None
    reading: dict[str, Any] | None = None
    delimiter: str = ","

    @classmethod
    def of(cls, record: BatchRecord) -> Self:
        """As it was written down; what only an older version needed is passed over."""
        values = json.loads(record.options)
        known = {name: value for name, value in values.items() if name in cls._fields}
        return cls(**{**known, "columns": tuple(values["columns"])})

    def to_json(self) -> str:
        """As the record keeps it."""
        return json.dumps(self._asdict(), default=str)

    def table(self, *, with_input: bool = True) -> TableColumns:
        """The columns of a table. Ours have the same names with the input's and without."""
        columns = table_columns(self.columns)
        return columns if with_input else columns._replace(given=())

    def layout(self, batch_id: str, *, with_input: bool = True) -> Layout:
        """How lines are written. Parquet has lines only in its error file: JSON ones."""
        if self.format == "openai":
            return OpenAIOutput(batch_id)
        columns = self.table(with_input=with_input)
        if self.format == "csv":
            return CsvTable(batch_id, columns, self.delimiter)
        return JsonTable(batch_id, columns)


def shape_of(source: Input, out: str | None, errors: str | None) -> Shape:
    """The shape of a new batch."""
    return Shape(
        kind=source.kind,
        format=_format(source.kind, out),
        columns=tuple(source.columns or (_DOCUMENT if source.kind == "folder" else ())),
        path=_absolute(source.label),
        errors=place_of(errors),
        reading=reading_of(source),
        delimiter=delimiter_of(source.label) if source.kind == "csv" else ",",
    )


def file_of(place: str | None) -> Path | None:
    """The absolute path of an output; None when it is no file of its own, such as a device."""
    if place is None or place == STANDARD or place in DESCRIPTORS:
        return None
    path = Path(place).resolve()
    is_there = os.access(place, os.F_OK)  # no error where its folder may not be entered
    return path if not is_there or path.is_file() else None


def is_standard_output(place: str | None) -> bool:
    """Whether what a command prints would stand between the lines that go to this output."""
    return place == STANDARD or (place is not None and DESCRIPTORS.get(place) == 1)


def place_of(output: str | None) -> str | None:
    """An output under a name that holds in every folder, and in the next command."""
    if output is None or output == STANDARD:
        return output
    return str(file_of(output) or Path(output).absolute())


def errors_beside(out: Path) -> Path:
    """Where error lines go when nobody says it: OUT.jsonl has OUT.errors.jsonl beside it."""
    stem = out.stem if out.suffix in _JSON_SUFFIXES else out.name
    return out.with_name(f"{stem}.errors.jsonl")


def _format(kind: str, out: str | None) -> Format:
    if kind == "folder":
        suffix = Path(out or "").suffix.lower()
        by_suffix: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}
        return by_suffix.get(suffix, "jsonl")
    formats: dict[str, Format] = {"jsonl": "jsonl", "csv": "csv", "parquet": "parquet"}
    return formats.get(kind, "openai")


def _absolute(label: str) -> str | None:
    path = Path(label)
    return str(path.resolve()) if path.exists() else None
