"""What the user names on the command line, as values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from yoloslim.cfg.schema import SCHEMA
from yoloslim.errors import RecipeError

if TYPE_CHECKING:
    from yoloslim.graph.graph import Graph
    from yoloslim.recipes.schema import ModelTable

_SIZE = re.compile(r"(\d{1,5})(?:[xX](\d{1,5}))?")


def graph_of(name: str) -> Graph:
    """Gives the network of a cfg file, or of a zoo name; raises what ``zoo.catalog.read_or_find`` does."""
    from yoloslim.zoo.catalog import read_or_find

    return read_or_find(name)


def optional_graph(name: str) -> Graph | None:
    """Gives the network of ``name``, or None when it is empty."""
    return graph_of(name) if name else None


def network_of(table: ModelTable) -> Graph:
    """Gives the network that a recipe's ``[model]`` names: its cfg's, else the one that its checkpoint brings.

    Raises:
        CfgError: the cfg cannot be honoured.
        RecipeError: no network has that name.
        WeightsError: the file is no checkpoint.
    """
    from yoloslim.weights.checkpoint import load_checkpoint

    return graph_of(table.cfg) if table.cfg else load_checkpoint(table.weights).graph


def parse_size(text: str) -> tuple[int, int] | None:
    """Gives (width, height) of ``416`` or ``640x480``, None for an empty text.

    Raises:
        RecipeError: the text has another form.
    """
    if not text:
        return None
    match = _SIZE.fullmatch(text.strip())
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    most = SCHEMA["net"]["width"].maximum
    if min(sides) < 1 or max(sides) > most:
        forms = f"a number of pixels such as 416, or WIDTHxHEIGHT such as 640x480, {most:.0f} at most"
        raise RecipeError(f"--size {text}: expected {forms}")
    return sides


def sized(graph: Graph, text: str) -> Graph:
    """Gives the network for pictures of the size that the user set, unchanged for an empty text.

    Raises:
        RecipeError: the network cannot work at that size.
    """
    from yoloslim.graph.input_size import at_size

    size = parse_size(text)
    try:
        return graph if size is None else at_size(graph, size)
    except RecipeError as error:
        raise RecipeError(f"--{error}") from error


def class_names(file: Path | None, known: Sequence[str], classes: int) -> tuple[str, ...]:
    """Gives the class names of a file, or the known ones where none is given.

    Raises:
        RecipeError: the file has another number of names than there are classes.
    """
    from yoloslim.cfg.names import read_names

    if file is None:
        return tuple(known)
    names = read_names(file)
    if len(names) != classes:
        raise RecipeError(f"--names {file}: expected a name for each of {classes} classes, found {len(names)} names")
    return names
