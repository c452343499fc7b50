"""The ledger's tables of the cache; units as in ``schema``."""

from sqlalchemy import BigInteger, Double, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from penstock_shared.ledger.schema_base import Id, Label, Table


class CacheEntry(Table):
    """One cached answer with the question that it answers."""

    __tablename__ = "cache_entries"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)  # partition and normalized question
    partition: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(Label)
    tier: Mapped[str] = mapped_column(Label)
    question: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    finish_reason: Mapped[str] = mapped_column(String(32))
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    charge_pusd: Mapped[int]  # what the answer cost when it was made
    encoder: Mapped[str | None] = mapped_column(Text)
    vector: Mapped[bytes | None] = mapped_column(LargeBinary)  # float32, length 1, little endian
    created_ms: Mapped[int]
    expires_ms: Mapped[int]
    model: Mapped[str] = mapped_column(Text, default="", server_default="")  # that answered
    used_ms: Mapped[int] = mapped_column(default=0, server_default="0")  # stored or served last
    hits: Mapped[int] = mapped_column(default=0, server_default="0")  # how often it was served

    __table_args__ = (
        Index("ix_cache_entries_vectors", "tier", "encoder", "id"),
        Index("ix_cache_entries_used", "tier", "used_ms"),
        Index("ix_cache_entries_expiry", "expires_ms"),
    )


class CacheTrial(Table):
    """A cached answer that was compared with what the engine answered to the same question."""

    __tablename__ = "cache_trials"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, unique=True)  # who asked
    tier: Mapped[str] = mapped_column(Label)
    tenant: Mapped[str] = mapped_column(Label)
    partition: Mapped[str] = mapped_column(String(64))
    band: Mapped[str] = mapped_column(String(32))  # of what kind the likeness was
    entry_id: Mapped[int]  # the entry may be gone by now
    similarity: Mapped[float] = mapped_column(Double)
    reason: Mapped[str] = mapped_column(Text)
    agreed: Mapped[bool]
    # the caller got the cached answer, and the engine answered it as well, off his path
    served: Mapped[bool]
    cost_pusd: Mapped[int]  # what the comparison cost; it is waste
    created_ms: Mapped[int]

    __table_args__ = (Index("ix_cache_trials_tier", "tier", "id"),)
