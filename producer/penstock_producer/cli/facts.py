"""What the commands share that print what is in the ledger."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TextIO

from penstock_shared.cli import settings_of
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import check_schema

_CONTROLS: Final = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n"), ord("\t")})


@contextmanager
def open_ledger() -> Iterator[Database]:
    """The ledger of the home, whether its stack runs or not."""
    database = Database(settings_of().ledger)
    try:
        check_schema(database)
        yield database
    finally:
        database.close()


def print_json(facts: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """One line, on standard output unless another stream is given."""
    (stream or sys.stdout).write(json.dumps(facts, ensure_ascii=False) + "\n")


def harmless(text: str) -> str:
    """Text without what steers a terminal."""
    return text.translate(_CONTROLS)


def on_one_line(text: str) -> str:
    """The same, without line breaks."""
    return " ".join(harmless(text).split())
