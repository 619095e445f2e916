"""Networks as functions that compose ops into a graph."""
