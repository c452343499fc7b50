"""The demo: real-looking traffic through three tiers, and what it cost."""
