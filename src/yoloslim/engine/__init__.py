"""Evaluation and training; knows nothing of compression."""
