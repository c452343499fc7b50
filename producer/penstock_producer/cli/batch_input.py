"""The input of a batch that was made before, for the columns that its output has beside answers."""

from pathlib import Path
from typing import Final

from penstock_producer.batch.preparing import digest_of
from penstock_producer.batch.reading import ReadOptions, Source
from penstock_producer.batch.shape import Shape
from penstock_shared.errors import InvalidBatch, InvalidRequest
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.settings import Settings

_TABLES: Final = ("csv", "jsonl", "parquet")


def has_columns(record: BatchRecord) -> bool:
    """Whether an output is more than what the ledger has."""
    return Shape.of(record).kind in _TABLES


def find_input(record: BatchRecord, settings: Settings, spool: Path) -> Source | None:
    """The table that it was read from; None when it is not there, or is another one by now."""
    shape = Shape.of(record)
    if shape.path is None or shape.reading is None:
        return None
    try:
        source = Source.open(shape.path, ReadOptions(**shape.reading), settings, spool=spool)
        is_the_same = digest_of(source) == record.digest
    except (InvalidBatch, InvalidRequest, OSError):
        return None
    return source if is_the_same else None
