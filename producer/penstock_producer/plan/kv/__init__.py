"""What a model and its KV cache take of a GPU's memory, from its config.json."""
