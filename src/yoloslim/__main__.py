"""Lets ``python -m yoloslim`` answer as the ``yoloslim`` command does."""

import sys

from yoloslim.cli import main

if __name__ == "__main__":
    sys.exit(main())
