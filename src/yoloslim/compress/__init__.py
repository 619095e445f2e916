"""Making networks small."""
