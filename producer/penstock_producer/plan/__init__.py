"""Plans: what a model takes of a GPU's memory, and what a month costs."""
