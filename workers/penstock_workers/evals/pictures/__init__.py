"""The pictures of the three evaluations."""

from penstock_workers.evals.pictures.batching import draw_batching
from penstock_workers.evals.pictures.quality import draw_quality
from penstock_workers.evals.pictures.speculation import draw_speculation

__all__ = ["draw_batching", "draw_quality", "draw_speculation"]
