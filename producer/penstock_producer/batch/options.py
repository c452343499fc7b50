"""What a caller wants of a batch besides its input."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from penstock_producer.batch.shape import file_of


@dataclass(frozen=True)
class RunOptions:
    """``out`` and ``errors`` are paths, "-" is standard output; without ``out`` nobody writes.

    ``max_cost_usd`` is where the batch pauses. ``key`` makes a batch without a file found again.
    """

    out: str | None = None
    errors: str | None = None
    skip_invalid: bool = False
    max_cost_usd: Decimal | None = None
    tenant: str = "default"
    workflow: str | None = None
    label: str | None = None
    key: str | None = None

    @property
    def out_file(self) -> Path | None:
        """The file that is written, if it is one."""
        return file_of(self.out)
