"""An input of any size as a stream of checked lines; memory does not grow with the input."""

from penstock_producer.batch.reading.line import BadLine, Line, LineError, Routed
from penstock_producer.batch.reading.making import routed
from penstock_producer.batch.reading.options import ReadOptions
from penstock_producer.batch.reading.seen import Seen, without_duplicates
from penstock_producer.batch.reading.source import Source

__all__ = [
    "BadLine",
    "Line",
    "LineError",
    "ReadOptions",
    "Routed",
    "Seen",
    "Source",
    "routed",
    "without_duplicates",
]
