"""Which codes a tensor is rounded to, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from yoloslim.errors import RecipeError

Scale = Literal["float", "power_of_two"]
Rounding = Literal["half_even", "half_away"]
Levels = Literal["all", "odd"]
Scheme = Literal["google", "dorefa", "lsq"]

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

MIN_BITS, MAX_BITS = 2, 8
"""Of weights and of values between layers."""

BIAS_BITS = 32


@dataclass(frozen=True, slots=True)
class QuantSpec:
    """A set of codes: ``x`` is rounded to ``scale * (code - zero_point)``.

    Attributes:
        bits: ``2^bits`` codes are used, 2 to 8; 32 for biases.
        signed: whether codes lie around 0; else they begin at 0.
        symmetric: whether the zero point is 0; else it is chosen, so that the codes cover the range (affine).
        axis: along which every slice has a scale of its own; None for one scale.
        scale: any float, or powers of two, which a shift multiplies by.
        rounding: of a value halfway between two codes: to the even one, or away from zero.
        levels: which codes are used: all from ``low`` to ``high``, or the odd ones, which lie around 0 without it.

    Raises:
        RecipeError: no such number of bits.
    """

    bits: int = 8
    signed: bool = True
    symmetric: bool = False
    axis: int | None = None
    scale: Scale = "float"
    rounding: Rounding = "half_even"
    levels: Levels = "all"

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS and self.bits != BIAS_BITS:
            raise RecipeError(f"bits: expected {MIN_BITS} to {MAX_BITS}, found {self.bits}")

    @property
    def low(self) -> int:
        """The lowest code."""
        if self.levels == "odd":
            return 1 - (1 << self.bits)
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The highest code."""
        return -self.low if self.levels == "odd" else self.low + (1 << self.bits) - 1

    @property
    def width(self) -> int:
        """Bits of a whole number that holds every code."""
        return self.bits + (self.levels == "odd")
