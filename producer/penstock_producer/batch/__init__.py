"""Batches: an input of any size becomes jobs, and their answers become a file."""
