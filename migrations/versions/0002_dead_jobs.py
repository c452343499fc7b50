"""an index of dead jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_IS_DEAD = sa.text("state = 'dead'")


def upgrade() -> None:
    op.create_index(
        "ix_jobs_dead",
        "jobs",
        ["finished_ms"],
        sqlite_where=_IS_DEAD,
        postgresql_where=_IS_DEAD,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_dead", "jobs", sqlite_where=_IS_DEAD, postgresql_where=_IS_DEAD)
