"""What a batch was read from and what is written of it; kept as JSON in the batch's record."""

import json
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

from penstock_producer.batch.inputs import Input
from penstock_producer.batch.layouts import Layout
from penstock_producer.batch.openai_output import OpenAIOutput
from penstock_producer.batch.preparing import reading_of
from penstock_producer.batch.table_columns import table_columns
from penstock_producer.batch.table_output import CsvTable, JsonTable
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches.records import BatchRecord

Format = Literal["openai", "jsonl", "csv", "parquet"]
STANDARD: Final = "-"
_DOCUMENT: Final = ("document",)
_JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")


class Shape(NamedTuple):
    """``kind`` and ``columns`` are the input's, ``path`` is None where it is no file.

    ``errors`` is where error lines go, None: where ``format`` wants them. ``reading`` are the
    fields of ReadOptions.
    """

    kind: str
    format: Format
    endpoint: str
    columns: tuple[str, ...]
    path: str | None = None
    errors: str | None = None
    reading: dict[str, Any] | None = None

    @classmethod
    def of(cls, record: BatchRecord) -> Self:
        """As it was written down."""
        values = json.loads(record.options)
        return cls(**{**values, "columns": tuple(values["columns"])})

    def to_json(self) -> str:
        """As the record keeps it."""
        return json.dumps(self._asdict(), default=str)

    def layout(self, batch_id: str, *, for_errors: bool = False) -> Layout:
        """How lines are written. Parquet has lines only in its error file: JSON ones."""
        if self.format == "openai":
            return OpenAIOutput(batch_id)
        columns = table_columns(self.columns)
        if self.format == "csv":
            return CsvTable(batch_id, columns)
        if self.format == "jsonl" or for_errors:
            return JsonTable(batch_id, columns)
        raise InvalidBatch("a Parquet file cannot be written to standard output; name a file")


def shape_of(source: Input, out: str | None, errors: str | None) -> Shape:
    """The shape of a new batch."""
    columns = tuple(source.columns or (_DOCUMENT if source.kind == "folder" else ()))
    return Shape(
        source.kind,
        _format(source.kind, out),
        source.endpoint,
        columns,
        _absolute(source.label),
        place_of(errors),
        reading_of(source),
    )


def place_of(output: str | None) -> str | None:
    """An output under a name that holds in every folder."""
    return output if output in (None, STANDARD) else str(Path(output).resolve())


def errors_beside(out: Path) -> Path:
    """Where error lines go when nobody says it: OUT.jsonl has OUT.errors.jsonl beside it."""
    stem = out.stem if out.suffix in _JSON_SUFFIXES else out.name
    return out.with_name(f"{stem}.errors.jsonl")


def _format(kind: str, out: str | None) -> Format:
    if kind == "folder":
        suffix = Path(out or "").suffix
        by_suffix: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}
        return by_suffix.get(suffix, "jsonl")
    formats: dict[str, Format] = {"jsonl": "jsonl", "csv": "csv", "parquet": "parquet"}
    return formats.get(kind, "openai")


def _absolute(label: str) -> str | None:
    path = Path(label)
    return str(path.resolve()) if path.exists() else None
