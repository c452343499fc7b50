"""lines under way: those that left the backlog of their batch and have not ended are found fast"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_UNDER_WAY = sa.text("batch_id IS NOT NULL AND backlog_rank IS NULL AND finished_ms IS NULL")


def upgrade() -> None:
    op.create_index(
        "ix_jobs_lines_under_way",
        "jobs",
        ["batch_id", "backlog_rank", "finished_ms"],
        sqlite_where=_UNDER_WAY,
        postgresql_where=_UNDER_WAY,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_lines_under_way", "jobs")
