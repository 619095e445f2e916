"""Distillation: a student learns what a teacher finds in the same pictures."""
