"""Evaluation of the cache on labelled pairs: what it serves rightly, wrongly, and not at all."""
