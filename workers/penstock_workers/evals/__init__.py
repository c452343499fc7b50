"""Engine configurations, measured on a user's own prompts: quality, speculation, batching."""
