"""entries with model, last use and hits; what a hit saved, near misses, trials of the cache"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_IS_A_HIT = sa.text("source <> 'engine'")
_IS_NEAR = sa.text("near_miss IS NOT NULL")


def upgrade() -> None:
    op.add_column("cache_entries", sa.Column("model", sa.Text(), nullable=False, server_default=""))
    for column in ("used_ms", "hits"):
        op.add_column(
            "cache_entries", sa.Column(column, sa.BigInteger(), nullable=False, server_default="0")
        )
    op.execute("UPDATE cache_entries SET used_ms = created_ms")
    op.drop_index("ix_cache_entries_tier", "cache_entries")
    op.create_index("ix_cache_entries_vectors", "cache_entries", ["tier", "encoder", "id"])
    op.create_index("ix_cache_entries_used", "cache_entries", ["tier", "used_ms"])
    op.create_index("ix_cache_entries_expiry", "cache_entries", ["expires_ms"])
    op.add_column(
        "results", sa.Column("saved_pusd", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("results", sa.Column("near_miss", sa.Text(), nullable=True))
    op.create_index(
        "ix_results_hits",
        "results",
        ["job_id", "source", "saved_pusd"],
        sqlite_where=_IS_A_HIT,
        postgresql_where=_IS_A_HIT,
    )
    op.create_index(
        "ix_results_near_misses",
        "results",
        ["job_id"],
        sqlite_where=_IS_NEAR,
        postgresql_where=_IS_NEAR,
    )
    op.create_table(
        "cache_trials",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("tier", sa.String(length=200), nullable=False),
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("partition", sa.String(length=64), nullable=False),
        sa.Column("band", sa.String(length=32), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("similarity", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("agreed", sa.Boolean(), nullable=False),
        sa.Column("served", sa.Boolean(), nullable=False),
        sa.Column("cost_pusd", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id"),
    )
    op.create_index("ix_cache_trials_tier", "cache_trials", ["tier", "id"])


def downgrade() -> None:
    op.drop_table("cache_trials")
    op.drop_index(
        "ix_results_near_misses", "results", sqlite_where=_IS_NEAR, postgresql_where=_IS_NEAR
    )
    op.drop_index("ix_results_hits", "results", sqlite_where=_IS_A_HIT, postgresql_where=_IS_A_HIT)
    op.drop_column("results", "near_miss")
    op.drop_column("results", "saved_pusd")
    for index in ("expiry", "used", "vectors"):
        op.drop_index(f"ix_cache_entries_{index}", "cache_entries")
    op.create_index("ix_cache_entries_tier", "cache_entries", ["tier", "id"])
    for column in ("hits", "used_ms", "model"):
        op.drop_column("cache_entries", column)
