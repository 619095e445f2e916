"""Tensors in files: Darknet weights, checkpoints, legacy pickles."""
