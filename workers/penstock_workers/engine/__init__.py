"""The engine: vLLM in a process of its own, metered at every step."""
