"""Workflows: the only place that joins networks, data, evaluation and compression."""
