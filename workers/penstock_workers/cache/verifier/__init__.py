"""The verifier: decides whether the answer to one question is an answer to another."""

from penstock_workers.cache.verifier.verify import Verdict, verify

__all__ = ["Verdict", "verify"]
