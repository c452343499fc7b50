"""Which configuration answers as well as the reference, and what each tier may serve."""
