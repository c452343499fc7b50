"""What a batch has by now, as whole files in the order of the input."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.inputs import Input
from penstock_producer.batch.layouts import Layout
from penstock_producer.batch.locking import OutputLock
from penstock_producer.batch.options import file_of
from penstock_producer.batch.output_file import OutputFile, beside_of, replace
from penstock_producer.batch.outputs import Outputs, Sink, Stream
from penstock_producer.batch.parquet_output import ParquetOutput, check_parquet
from penstock_producer.batch.shape import Shape
from penstock_producer.batch.table_columns import table_columns
from penstock_producer.batch.whole_pass import all_ended, row_finder
from penstock_producer.batch.writing import document_of, errors_place
from penstock_shared.errors import InvalidBatch
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings

_PAGE: Final = 200


class Places(NamedTuple):
    """Where lines go; "-" is standard output. Without ``errors`` all go to ``out``."""

    out: str
    errors: str | None


def write_results(
    settings: Settings,  # noqa: ARG001 - as all that works on batches
    database: Database,
    batch_id: str,
    *,
    out: str,
    errors: str | None,
    source: Input | None = None,
) -> tuple[int, int]:
    """Write all lines that have ended by now; returns how many are in OUT and in ERR.

    Files are replaced as a whole; lines of a table stand beside the columns of ``source``. Raises
    BatchNotFound, InvalidBatch for a file that is not of this batch, and BatchBusy while another
    command writes to it.
    """
    record = records.get(database, batch_id)
    file = file_of(out)
    if file is None:
        return write_joined(database, record, out, errors, source)
    with OutputLock(file):
        return write_joined(database, record, out, errors, source)


def write_joined(
    database: Database, record: BatchRecord, out: str, errors: str | None, source: Input | None
) -> tuple[int, int]:
    """The same for a command that has the output's lock."""
    shape = Shape.of(record)
    places = Places(out, errors_place(shape, out, errors))
    row_of = _row_of(shape, source)
    ended = all_ended(database, record.id)
    if shape.format == "parquet":
        return _parquet(shape, record.id, places, ended, row_of)
    with ExitStack() as stack:
        layout = shape.layout(record.id)
        out_sink = stack.enter_context(_whole(places.out, layout, always=True))
        error_sink = stack.enter_context(_whole(places.errors, layout)) if places.errors else None
        outputs = Outputs(out_sink, error_sink, layout, row_of)
        for page in _pages(ended):
            outputs.write(page)
    return outputs.out_lines, outputs.error_lines


_RowOf = Callable[[EndedLine], Mapping[str, Any] | None]


def _row_of(shape: Shape, source: Input | None) -> _RowOf:
    if shape.kind == "folder":
        return document_of
    if shape.format == "openai" or source is None:
        return lambda _: None
    return row_finder(source.rows())


def _parquet(
    shape: Shape, batch_id: str, places: Places, ended: Iterable[EndedLine], row_of: _RowOf
) -> tuple[int, int]:
    """Parquet, and lines without an answer as JSON Lines where they have a file of their own."""
    out = file_of(places.out)
    if out is None:
        raise InvalidBatch("a Parquet file cannot be written to standard output; name a file")
    check_parquet(out, batch_id)
    input_path = shape.path if shape.kind == "parquet" else None
    layout = shape.layout(batch_id, for_errors=True)
    beside = beside_of(out)
    count = 0
    with ExitStack() as stack:
        errors = stack.enter_context(_whole(places.errors, layout)) if places.errors else None
        stack.callback(lambda: beside.unlink(missing_ok=True))
        columns = table_columns(shape.columns)
        with ParquetOutput(beside, batch_id, columns, input_path) as table:
            for each in ended:
                row = row_of(each)
                if errors is not None and each.is_failed:
                    errors.append([layout.render(each, row)])
                else:
                    table.add(each, row)
                    count += 1
        replace(out, beside)
    return count, errors.lines if errors is not None else 0


@contextmanager
def _whole(place: str, layout: Layout, *, always: bool = False) -> Iterator[Sink]:
    """A file that appears when it is complete, or a stream. Without lines it may not appear."""
    file = file_of(place)
    if file is None:
        yield Stream(header=layout.header)
        return
    OutputFile(file, layout).check()
    beside = beside_of(file)
    beside.unlink(missing_ok=True)
    sink = OutputFile(beside, layout)
    try:
        yield sink
        if always or sink.lines or file.exists():
            sink.append([])
            sink.close()
            replace(file, beside)
    finally:
        sink.close()
        beside.unlink(missing_ok=True)


def _pages(ended: Iterable[EndedLine]) -> Iterator[list[EndedLine]]:
    some: list[EndedLine] = []
    for each in ended:
        some.append(each)
        if len(some) == _PAGE:
            yield some
            some = []
    yield some
