"""What a caller wants of a batch besides its input."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from penstock_producer.batch.shape import file_of
from penstock_shared.errors import InvalidRequest


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


def usd(amount: object, name: str) -> Decimal:
    """An amount of money that limits a batch. Raises InvalidRequest, with the name it has."""
    try:
        found = Decimal(str(amount).removeprefix("$"))
    except InvalidOperation:
        found = Decimal(0)
    if not found.is_finite() or found <= 0:
        raise InvalidRequest(f"{name}: {amount!r} is no amount above 0; write USD, like 2.50")
    return found
