"""Meaning: a network as ops and named nodes, and what follows from them."""
