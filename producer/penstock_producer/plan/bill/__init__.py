"""What a month costs, and what would make it cheaper."""
