"""Text: cfg sections, what their keys mean, and Darknet's other text files."""
