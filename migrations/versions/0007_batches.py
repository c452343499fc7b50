"""batches: files whose lines are jobs that wait in the ledger until a worker has room"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_WAITS = "published_ms IS NULL AND state = 'queued'"


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(200), nullable=False),
        sa.Column("workflow", sa.String(200), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("out", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("loaded", sa.BigInteger(), nullable=False),
        sa.Column("max_cost_pusd", sa.BigInteger(), nullable=True),
        sa.Column("spent_pusd", sa.BigInteger(), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("stopped_by", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_batches_created", "batches", ["created_ms"])
    _partial_index("ix_batches_running", "batches", "state = 'running'", "created_ms")
    op.create_table(
        "batch_refusals",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("custom_id", sa.Text(), nullable=True),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("param", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"]),
        sa.PrimaryKeyConstraint("batch_id", "line"),
    )
    op.create_table(
        "batch_documents",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("first_line", sa.BigInteger(), nullable=False),
        sa.Column("last_line", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"]),
        sa.PrimaryKeyConstraint("batch_id", "line"),
    )
    _partial_index(
        "ix_batch_documents_waiting", "batch_documents", "state = 'waiting'", "batch_id", "line"
    )
    op.add_column("jobs", sa.Column("batch_id", sa.String(64), nullable=True))
    op.add_column("jobs", sa.Column("batch_line", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("custom_id", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("backlog_rank", sa.BigInteger(), nullable=True))
    op.drop_index("ix_jobs_outbox", "jobs")
    _partial_index("ix_jobs_outbox", "jobs", f"{_WAITS} AND backlog_rank IS NULL", "created_ms")
    _partial_index(
        "ix_jobs_backlog",
        "jobs",
        "state = 'queued' AND backlog_rank IS NOT NULL",
        *("batch_id", "tier", "backlog_rank", "batch_line"),
    )
    is_a_line = "batch_id IS NOT NULL"
    _partial_index("ix_jobs_lines", "jobs", is_a_line, "batch_id", "batch_line")
    _partial_index(
        "ix_jobs_lines_ended",
        "jobs",
        is_a_line,
        *("batch_id", "finished_ms", "batch_line", "state"),
    )


def downgrade() -> None:
    for index in ("ix_jobs_lines_ended", "ix_jobs_lines", "ix_jobs_backlog", "ix_jobs_outbox"):
        op.drop_index(index, "jobs")
    _partial_index("ix_jobs_outbox", "jobs", _WAITS, "created_ms")
    for column in ("backlog_rank", "custom_id", "batch_line", "batch_id"):
        op.drop_column("jobs", column)
    op.drop_table("batch_documents")
    op.drop_table("batch_refusals")
    op.drop_table("batches")


def _partial_index(name: str, table: str, where: str, *columns: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
