"""What a batch has by now, as whole files in the order of the input."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from penstock_producer.batch.ended_line import EndedLine
from penstock_producer.batch.inputs import Input
from penstock_producer.batch.layouts import Layout
from penstock_producer.batch.locking import OutputLock
from penstock_producer.batch.output_file import OutputFile, beside_of, replace
from penstock_producer.batch.output_places import Places, check_places
from penstock_producer.batch.outputs import Outputs, RowOf, Sink
from penstock_producer.batch.parquet_output import ParquetOutput
from penstock_producer.batch.shape import Shape, file_of
from penstock_producer.batch.table_columns import TableColumns
from penstock_producer.batch.whole_pass import all_ended, row_finder
from penstock_producer.batch.writing import document_of, stream_to
from penstock_shared.ledger.batches import records
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.ledger.database import Database

_PAGE: Final = 200


def write_results(
    database: Database,
    batch_id: str,
    *,
    out: str,
    errors: str | None,
    source: Input | None = None,
) -> tuple[int, int]:
    """Write all lines that have ended by now; returns how many are in OUT and in ERR.

    Files are replaced as a whole. Lines of a table stand beside the columns of ``source``, without
    one they have ours only. Raises BatchNotFound, InvalidBatch for a file that is not of this
    batch, and BatchBusy while another command writes to OUT or ERR.
    """
    record = records.get(database, batch_id)
    with ExitStack() as locks:
        for file in Places.of(Shape.of(record), out, errors).files:
            locks.enter_context(OutputLock(file))
        return write_joined(database, record, out, errors, source)


def write_joined(
    database: Database, record: BatchRecord, out: str, errors: str | None, source: Input | None
) -> tuple[int, int]:
    """The same for a command that has the outputs' locks."""
    shape = Shape.of(record)
    with_input = source is not None or shape.kind == "folder"
    check_places(record, out, errors, with_input=with_input)
    places = Places.of(shape, out, errors)
    layout = shape.layout(record.id, with_input=with_input)
    row_of = _row_of(shape, source)
    ended = all_ended(database, record.id)
    with ExitStack() as stack:
        error_sink = stack.enter_context(_whole(places.errors, layout)) if places.errors else None
        if shape.format == "parquet":
            types = source.path if source is not None and shape.kind == "parquet" else None
            writing = _whole_parquet(
                Path(places.out).resolve(), record.id, shape.table(with_input=with_input), types
            )
            table = stack.enter_context(writing)
            return _parquet(table, error_sink, layout, ended, row_of)
        out_sink = stack.enter_context(_whole(places.out, layout, always=True))
        outputs = Outputs(out_sink, error_sink, layout, row_of)
        for page in _pages(ended):
            outputs.write(page)
    return outputs.out_lines, outputs.error_lines


def _row_of(shape: Shape, source: Input | None) -> RowOf:
    if shape.kind == "folder":
        return document_of
    if shape.format == "openai" or source is None:
        return lambda _: None
    return row_finder(source.rows())


def _parquet(
    table: ParquetOutput,
    errors: Sink | None,
    layout: Layout,
    ended: Iterable[EndedLine],
    row_of: RowOf,
) -> tuple[int, int]:
    """Lines without an answer stand as JSON Lines in ERR where there is one."""
    count = 0
    for each in ended:
        row = row_of(each)
        if errors is not None and each.is_failed:
            errors.append([layout.render(each, row)])
        else:
            table.add(each, row)
            count += 1
    return count, errors.lines if errors is not None else 0


@contextmanager
def _whole_parquet(
    path: Path, batch_id: str, columns: TableColumns, types: Path | None
) -> Iterator[ParquetOutput]:
    beside = beside_of(path)
    try:
        with ParquetOutput(beside, batch_id, columns, types) as table:
            yield table
        replace(path, beside)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _whole(place: str, layout: Layout, *, always: bool = False) -> Iterator[Sink]:
    """A file that appears when it is complete, or a stream. Without lines it may not appear."""
    file = file_of(place)
    if file is None:
        with closing(stream_to(place, layout)) as stream:
            yield stream
        return
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
