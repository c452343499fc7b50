"""The embedded stack: a bundled Redis, a SQLite ledger, one worker per tier, Flower."""
