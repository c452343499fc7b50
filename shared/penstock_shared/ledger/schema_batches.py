"""The ledger's tables of batches; units as in ``schema``."""

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from penstock_shared.ledger.schema_base import Id, Label, Table, partial_index


class Batch(Table):
    """A file of requests. Its lines are jobs."""

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant: Mapped[str] = mapped_column(Label)
    workflow: Mapped[str | None] = mapped_column(Label)
    state: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(Text)  # what it was read from
    out: Mapped[str | None] = mapped_column(Text)  # where a command writes its answers
    digest: Mapped[str] = mapped_column(String(64))  # of the input and how it is read
    options: Mapped[str] = mapped_column(Text)  # JSON: how the input is read
    total: Mapped[int]  # lines of the input, wrong ones included
    loaded: Mapped[int] = mapped_column(default=0)  # those of them that are in the ledger
    max_cost_pusd: Mapped[int | None]
    spent_pusd: Mapped[int] = mapped_column(default=0)  # charges of its lines
    succeeded: Mapped[int] = mapped_column(default=0)  # lines that these are for
    stopped_by: Mapped[str | None] = mapped_column(Text)  # why it is paused
    created_ms: Mapped[int]
    finished_ms: Mapped[int | None]

    __table_args__ = (
        Index("ix_batches_created", "created_ms"),
        partial_index("ix_batches_running", "state = 'running'", "created_ms"),
    )


class BatchRefusal(Table):
    """A line of a batch that is wrong, and was skipped because the caller said so."""

    __tablename__ = "batch_refusals"

    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    custom_id: Mapped[str | None] = mapped_column(Text)
    code: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    param: Mapped[str | None] = mapped_column(Text)


class BatchDocument(Table):
    """A line of a batch that sums up others, and waits until they have ended."""

    __tablename__ = "batch_documents"

    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[str] = mapped_column(Text)  # its custom id
    first_line: Mapped[int]
    last_line: Mapped[int]
    request: Mapped[str] = mapped_column(Text)  # JSON; the last message is a template
    state: Mapped[str] = mapped_column(String(16))  # waiting, or failed with its parts

    __table_args__ = (
        partial_index("ix_batch_documents_waiting", "state = 'waiting'", "batch_id", "line"),
    )
