"""Where drafting tokens ahead is faster."""
