"""What a report reads of the ledger: sums, percentiles and the dearest, as of one moment."""
