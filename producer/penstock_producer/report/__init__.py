"""The report: where the money went, as sections that every format shows in its own way."""
