"""One layer idea a file."""
