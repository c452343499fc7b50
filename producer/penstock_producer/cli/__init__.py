"""The command ``penstock``."""
