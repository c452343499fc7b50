"""What the ledger's tables are built with."""

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import DeclarativeBase

from penstock_shared.ids import MAX_JOB_ID_CHARS

Id = String(MAX_JOB_ID_CHARS)
Label = String(200)


def partial_index(name: str, where: str, *columns: str) -> Index:
    """An index of the rows that meet a condition."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Table(DeclarativeBase):
    """Root of the tables."""

    type_annotation_map = {int: BigInteger}  # noqa: RUF012 - SQLAlchemy's own interface
