"""Ground floor: words, errors, settings, the ledger, the broker. Imports neither side."""
