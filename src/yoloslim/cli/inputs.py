"""What the user names on the command line, as values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from yoloslim.errors import CfgError, RecipeError

if TYPE_CHECKING:
    from yoloslim.graph.graph import Graph

_SIZE = re.compile(r"(\d{1,5})(?:[xX](\d{1,5}))?")


def graph_of(name: str) -> Graph:
    """Gives the network of a cfg file, or of a zoo name.

    Raises:
        CfgError: there is no such file, or it cannot be honoured.
        RecipeError: no network has that name.
    """
    from yoloslim.graph.from_cfg import read_cfg
    from yoloslim.zoo.catalog import find

    path = Path(name)
    if path.exists() or path.suffix == ".cfg" or len(path.parts) > 1:
        return read_cfg(path)
    return find(name)


def optional_graph(name: str) -> Graph | None:
    """Gives the network of ``name``, or None when it is empty."""
    return graph_of(name) if name else None


def parse_size(text: str) -> tuple[int, int] | None:
    """Gives (width, height) of ``416`` or ``640x480``, None for an empty text.

    Raises:
        RecipeError: the text has another form.
    """
    from yoloslim.cfg.schema import SCHEMA

    if not text:
        return None
    match = _SIZE.fullmatch(text.strip())
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(sides) < 1 or max(sides) > SCHEMA["net"]["width"].maximum:
        raise RecipeError(f"--size {text}: expected a number of pixels such as 416, or WIDTHxHEIGHT such as 640x480")
    return sides


def sized(graph: Graph, text: str) -> Graph:
    """Gives the network for pictures of the size that the user set, unchanged for an empty text.

    Raises:
        RecipeError: the network cannot work at that size.
    """
    from yoloslim.graph.shapes import infer_shapes

    size = parse_size(text)
    if size is None:
        return graph
    changed = graph.with_size(*size)
    try:
        infer_shapes(changed)
    except CfgError as problem:
        raise RecipeError(f"--size {text}: this network needs a multiple of {_stride(graph)} ({problem})") from problem
    return changed


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


def _stride(graph: Graph) -> int:
    """Gives the stride of the coarsest map that a head or an upsampling reads: those must divide the size evenly."""
    from yoloslim.graph.ops import Upsample
    from yoloslim.graph.shapes import infer_shapes

    shapes = infer_shapes(graph)
    names = [node.inputs[0] for node in graph if isinstance(node.op, Upsample)]
    names += [node.name for node, _ in graph.heads]
    return max((graph.input_shape.width // shapes[name].width for name in names), default=1)
