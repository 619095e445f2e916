"""Files that others publish: fetched once, checked whenever they are used. Knows nothing of what is in them."""
