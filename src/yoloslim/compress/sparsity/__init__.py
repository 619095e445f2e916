"""Sparse training: gammas pushed towards zero, and how far they have come."""
