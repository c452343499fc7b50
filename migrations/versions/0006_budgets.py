"""budgets: what was reserved and spent in each period, and what each job has reserved"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "budget_periods",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(200), nullable=True),
        sa.Column("workflow", sa.String(200), nullable=True),
        sa.Column("per", sa.String(16), nullable=False),
        sa.Column("starts_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("limit_pusd", sa.BigInteger(), nullable=False),
        sa.Column("reserved_pusd", sa.BigInteger(), nullable=False),
        sa.Column("spent_pusd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("jobs", sa.Column("reserved_pusd", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("budget_ids", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "budget_ids")
    op.drop_column("jobs", "reserved_pusd")
    op.drop_table("budget_periods")
