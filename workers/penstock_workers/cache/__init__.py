"""The cache of answers: similarity nominates, a verifier decides."""
