"""suspicion of jobs, what a lost worker had not booked, an index of cancellations"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_IS_TO_CANCEL = sa.text("state = 'running' AND cancel_requested")
_IS_OPEN = sa.text("ended_ms IS NULL")


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("suspicion", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column(
        "worker_time", sa.Column("lost_pusd", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_index(
        "ix_jobs_cancellations",
        "jobs",
        ["worker_id"],
        sqlite_where=_IS_TO_CANCEL,
        postgresql_where=_IS_TO_CANCEL,
    )
    op.create_index(
        "ix_worker_time_open",
        "worker_time",
        ["seen_ms"],
        sqlite_where=_IS_OPEN,
        postgresql_where=_IS_OPEN,
    )


def downgrade() -> None:
    op.drop_index(
        "ix_worker_time_open", "worker_time", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN
    )
    op.drop_index(
        "ix_jobs_cancellations", "jobs", sqlite_where=_IS_TO_CANCEL, postgresql_where=_IS_TO_CANCEL
    )
    op.drop_column("worker_time", "lost_pusd")
    op.drop_column("jobs", "suspicion")
