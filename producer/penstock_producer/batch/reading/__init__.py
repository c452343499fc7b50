"""An input of any size as a stream of checked lines; memory does not grow with the input."""

from penstock_producer.batch.reading.line import Line, LineError
from penstock_producer.batch.reading.options import ReadOptions
from penstock_producer.batch.reading.seen import Seen, without_duplicates
from penstock_producer.batch.reading.source import Source

__all__ = ["Line", "LineError", "ReadOptions", "Seen", "Source", "without_duplicates"]
