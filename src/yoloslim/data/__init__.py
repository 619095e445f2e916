"""Pictures, labels and data files: what is read, and what is wrong with it."""
