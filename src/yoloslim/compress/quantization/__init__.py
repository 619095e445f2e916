"""Networks on integers: where numbers are rounded to codes, to which codes, and what that does."""
