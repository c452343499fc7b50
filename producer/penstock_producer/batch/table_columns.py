"""The columns that a batch adds to a table, and their values."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from penstock_producer.batch.ended_line import EndedLine
from penstock_shared import money

_ADDED: Final = (
    "text",
    "tier",
    "reason",
    "cached",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "attempts",
    "error",
    "custom_id",
    "penstock_batch",
    "penstock_line",
)
_PREFIX: Final = "penstock_"


class TableColumns(NamedTuple):
    """Columns of the input, and ours by their plain names: as they are called in this output."""

    given: tuple[str, ...]
    added: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """All, in order."""
        return (*self.given, *self.added.values())

    def values(self, batch_id: str, ended: EndedLine) -> dict[str, Any]:
        """Ours for one line, by their names in this output."""
        result = ended.result
        values: dict[str, Any] = {
            "error": ended.error,
            "custom_id": ended.custom_id,
            "penstock_batch": batch_id,
            "penstock_line": ended.line,
        }
        if result is not None:
            cost = result.charge_usd
            values |= {
                "text": result.text,
                "tier": result.tier,
                "reason": result.reason,
                "cached": result.cached,
                "prompt_tokens": result.prompt_tokens,
                "completion_tokens": result.completion_tokens,
                "cost_usd": None if cost is None else money.usd_text(cost),
                "attempts": result.attempts,
            }
        return {called: values.get(name) for name, called in self.added.items()}


def table_columns(given: Sequence[str]) -> TableColumns:
    """A name that the input has gets a prefix, as often as it needs."""
    taken = set(given)
    added: dict[str, str] = {}
    for name in _ADDED:
        called = name
        while called in taken:
            called = _PREFIX + called
        taken.add(called)
        added[name] = called
    return TableColumns(tuple(given), added)
