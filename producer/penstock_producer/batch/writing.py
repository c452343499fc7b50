"""The outputs of a batch as its options say."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.input_rows import InputRows
from penstock_producer.batch.layouts import Layout
from penstock_producer.batch.options import RunOptions
from penstock_producer.batch.output_file import OutputFile
from penstock_producer.batch.output_places import Places
from penstock_producer.batch.outputs import Nowhere, Outputs, RowOf, Sink, Stream
from penstock_producer.batch.shape import DESCRIPTORS, STANDARD, Shape, file_of
from penstock_shared.errors import InvalidBatch

_CHUNK: Final = re.compile(r"#\d+$")


def outputs_of(shape: Shape, batch_id: str, options: RunOptions, rows: InputRows | None) -> Outputs:
    """Files that go on where they are. Parquet is written when the batch has ended."""
    if options.out is None:
        return Outputs(Nowhere(), Nowhere(), None, _no_row)
    places = Places.of(shape, options.out, options.errors)
    if shape.format == "parquet":
        return Outputs(Nowhere(), Nowhere() if places.errors else None, None, _no_row)
    layout = shape.layout(batch_id)

    def sink(place: str) -> Sink:
        file = file_of(place)
        return stream_to(place, layout) if file is None else OutputFile(file, layout)

    errors = sink(places.errors) if places.errors else None
    return Outputs(sink(places.out), errors, layout, _row_of(shape, rows))


def stream_to(place: str, layout: Layout) -> Stream:
    """Standard output, or another stream such as /dev/stderr. Raises InvalidBatch."""
    if place == STANDARD:
        return Stream(header=layout.header)
    try:
        if place in DESCRIPTORS:  # opened anew, a file behind it would be written from its start
            return Stream(os.fdopen(os.dup(DESCRIPTORS[place]), "wb"), layout.header)
        return Stream(Path(place).open("wb"), layout.header)
    except OSError as error:
        raise InvalidBatch(f"{place} cannot be written: {error.strerror}") from None


def needs_rows(shape: Shape, options: RunOptions) -> bool:
    """Whether lines are written beside the columns of their input as they end."""
    return options.out is not None and shape.kind in {"jsonl", "csv"}


def document_of(ended: EndedLine) -> dict[str, Any]:
    """The columns of a folder's line."""
    return {"document": _CHUNK.sub("", ended.custom_id or "")}


def _row_of(shape: Shape, rows: InputRows | None) -> RowOf:
    if shape.kind == "folder":
        return document_of
    if rows is not None:
        return lambda ended: rows.get(ended.line)
    return _no_row


def _no_row(_: EndedLine) -> Mapping[str, Any] | None:
    return None
