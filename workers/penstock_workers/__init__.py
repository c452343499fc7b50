"""GPU side: a worker is one process, one tier, one engine."""
