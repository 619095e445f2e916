"""The loss that a recipe asks for."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from yoloslim.errors import RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.losses.cfg_keys import cfg_settings
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.faults import first_fault
from yoloslim.recipes.schema import LossTable

_SETTINGS = TypeAdapter(LossSettings)


def loss_settings(table: LossTable, graph: Graph | None = None) -> LossSettings:
    """Gives the settings of a ``[loss]`` table; what it leaves out is the cfg's, else the default.

    Args:
        graph: the network, whose cfg is asked; None asks none.

    Raises:
        RecipeError: a value is of the wrong kind or out of its range.
        CfgError: a value of the cfg is.
    """
    said = _validated(table)
    of_cfg: dict[str, Any] = {} if graph is None else cfg_settings(graph, said.assignment)
    return _validated({**of_cfg, **table})


def _validated(table: LossTable) -> LossSettings:
    try:
        return _SETTINGS.validate_python(dict(table))
    except ValidationError as error:
        raise RecipeError(f"loss.{first_fault(error)}") from error
