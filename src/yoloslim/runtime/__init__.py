"""Artefacts that detect: one protocol over all backends."""
