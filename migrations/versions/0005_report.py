"""indexes for the report: what it reads of jobs and results, without prompts and answers"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_IN_A_MANNER = sa.text("quantization IS NOT NULL OR speculation IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_jobs_report", "jobs", ["id", "task_type", "workflow"])
    op.create_index(
        "ix_results_report",
        "results",
        ["job_id", "source", "prompt_tokens", "completion_tokens", "saved_pusd"],
    )
    op.create_index(
        "ix_results_manners",
        "results",
        ["job_id"],
        sqlite_where=_IN_A_MANNER,
        postgresql_where=_IN_A_MANNER,
    )


def downgrade() -> None:
    op.drop_index(
        "ix_results_manners", "results", sqlite_where=_IN_A_MANNER, postgresql_where=_IN_A_MANNER
    )
    op.drop_index("ix_results_report", "results")
    op.drop_index("ix_jobs_report", "jobs")
