"""Differentiable losses of a detector."""
