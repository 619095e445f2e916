"""Lets ``python -m yoloslim`` answer as the ``yoloslim`` command does."""

from yoloslim.cli import main

if __name__ == "__main__":
    main()
