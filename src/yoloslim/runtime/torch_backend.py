"""Head maps by torch."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from yoloslim.errors import RecipeError
from yoloslim.nn.network import Network


def choose_device(name: str) -> torch.device:
    """Gives the device of that name; ``auto`` is the first GPU, else the CPU.

    Raises:
        RecipeError: torch does not know the device, or cannot use it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"--device {name} cannot be used ({reason}); try auto or cpu") from error
    return device


class TorchBackend:
    """Runs a copy of a network in evaluation mode, laid out channels-last, which the CPU kernels prefer."""

    def __init__(self, network: Network, device: torch.device) -> None:
        moved = copy.deepcopy(network).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = moved.eval()
        self._device = device

    def __call__(self, batch: NDArray[np.float32], /) -> list[NDArray[np.float32]]:
        """Gives one head map a head, (B, anchors, h, w, 5 + classes), for a batch (B, 3, H, W), RGB in 0..1."""
        images = torch.from_numpy(batch).to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode():
            return [head.float().cpu().numpy() for head in self._network(images)]
