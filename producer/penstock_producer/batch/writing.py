"""The outputs of a batch as its options say."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.input_rows import InputRows
from penstock_producer.batch.options import RunOptions, file_of
from penstock_producer.batch.output_file import OutputFile
from penstock_producer.batch.outputs import Nowhere, Outputs, Sink, Stream
from penstock_producer.batch.shape import STANDARD, Shape, errors_beside

_CHUNK: Final = re.compile(r"#\d+$")


def outputs_of(shape: Shape, batch_id: str, options: RunOptions, rows: InputRows | None) -> Outputs:
    """Files that go on where they are. Parquet is written when the batch has ended."""
    if options.out is None or shape.format == "parquet":
        return Outputs(Nowhere(), Nowhere(), None, _no_row)
    layout = shape.layout(batch_id)
    row_of = _row_of(shape, rows)

    def sink(place: str) -> Sink:
        file = file_of(place)
        if file is not None:
            return OutputFile(file, layout)
        if place == STANDARD:
            return Stream(header=layout.header)
        return Stream(Path(place).open("wb", buffering=0), layout.header)

    errors = errors_place(shape, options.out, options.errors)
    return Outputs(sink(options.out), sink(errors) if errors else None, layout, row_of)


def errors_place(shape: Shape, out: str, errors: str | None) -> str | None:
    """Where error lines go; None: where the others go."""
    if errors is not None:
        return None if errors == out else errors
    file = file_of(out)
    return str(errors_beside(file)) if file is not None and shape.format == "openai" else None


def needs_rows(shape: Shape, options: RunOptions) -> bool:
    """Whether lines are written beside the columns of their input as they end."""
    return options.out is not None and shape.kind in {"jsonl", "csv"}


def document_of(ended: EndedLine) -> dict[str, Any]:
    """The columns of a folder's line."""
    return {"document": _CHUNK.sub("", ended.custom_id or "")}


def _row_of(shape: Shape, rows: InputRows | None) -> Any:
    if shape.kind == "folder":
        return document_of
    if rows is not None:
        return lambda ended: rows.get(ended.line)
    return _no_row


def _no_row(_: EndedLine) -> Mapping[str, Any] | None:
    return None
