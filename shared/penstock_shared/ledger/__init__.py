"""The ledger: the truth about every job, its attempts, its result and its charge."""
