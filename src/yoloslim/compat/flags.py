"""Flags as the originals have them, told apart strictly: one that is not known is refused with the nearest that is."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from yoloslim.errors import RecipeError

Value = str | int | float | bool | Sequence[str] | None
"""Of an option: a bare flag for True, several options for several texts, nothing for None, False and an empty text."""


class FlagParser(ArgumentParser):
    """Reads the flags of one script; what it does not accept is a `RecipeError`.

    Args:
        script: file name of the script.
        does: what it does, for its help.
    """

    def __init__(self, script: str, does: str) -> None:
        super().__init__(prog=script, description=does)

    def read(self, arguments: Sequence[str] | None) -> Namespace:
        """Gives the values of all flags.

        Args:
            arguments: what stands behind the script; those of the process when None.

        Raises:
            RecipeError: a flag is unknown, or its value is wrong.
        """
        found, unknown = self.parse_known_args(arguments)
        if unknown:
            self.error(self._unknown(unknown))
        return found

    def error(self, message: str) -> NoReturn:
        """Raises RecipeError with the message."""
        raise RecipeError(f"{self.prog}: {message}")

    def _unknown(self, arguments: Sequence[str]) -> str:
        flag = next((word for word in arguments if word.startswith("-")), "")
        if not flag:
            return f"{arguments[0]} belongs to no flag: put a flag before it, or leave it out"
        flag = flag.partition("=")[0]
        known = sorted(self._option_string_actions)
        near = difflib.get_close_matches(flag, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        return f"unknown flag {flag}; {hint}"


def add_model(flags: FlagParser) -> None:
    """Adds what every script takes: the network, its weights, the data, and how pictures are read."""
    flags.add_argument("--cfg", default="", metavar="FILE", help="cfg of the network")
    flags.add_argument("--data", default="", metavar="FILE", help="data file")
    flags.add_argument("--weights", default="", metavar="FILE", help="weights")
    flags.add_argument("--gray-scale", "--gray_scale", action="store_true", help="one channel")


def add_measuring(flags: FlagParser) -> None:
    """Adds the size of pictures and of batches."""
    flags.add_argument("--img-size", "--img_size", type=int, metavar="N", help="pixels")
    flags.add_argument("--batch-size", "--batch_size", type=int, metavar="N", help="pictures in a batch")


def add_running(flags: FlagParser) -> None:
    """Adds the device, the scaling of the input and the form of shortcuts."""
    flags.add_argument("--device", default="", metavar="ID", help="cpu, 0, or 0,1")
    flags.add_argument("-mas", "--maxabsscaler", action="store_true", help="pictures in -1..1: refused")
    flags.add_argument("--shortcut_way", type=int, metavar="N", help="of quantized shortcuts: no effect")


def add_quantized(flags: FlagParser) -> None:
    """Adds how a network is quantized."""
    flags.add_argument("--quantized", type=int, choices=(-1, 0, 1, 2, 3), default=-1, help="1 google, 2 DoReFa")
    flags.add_argument("--a-bit", "--a_bit", type=int, default=8, metavar="N", help="bits of activations")
    flags.add_argument("--w-bit", "--w_bit", type=int, default=8, metavar="N", help="bits of weights")


def options(values: dict[str, Value]) -> tuple[str, ...]:
    """Gives the arguments that say these values, by option: see `Value`."""
    words: list[str] = []
    for name, value in values.items():
        match value:
            case None | False | "":
                continue
            case True:
                words.append(name)
            case str() | int() | float():
                words += [name, str(value)]
            case several:
                words += [word for one in several for word in (name, one)]
    return tuple(words)
