"""Batches in the ledger: files whose lines are jobs."""
