"""Ops as torch modules, and the network that runs a graph."""
