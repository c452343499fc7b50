"""Toy models: tiny Llamas for the demo, the tests and measurement, with their data and training."""
