"""Which lanes go (a plan), and their removal (mask, fold, shrink)."""
