"""The processes that train one network together, as torchrun starts them."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import nn

from yoloslim.engine.settings import TrainSettings
from yoloslim.errors import RecipeError
from yoloslim.nn.network import Network


@dataclass(frozen=True, slots=True)
class Processes:
    """What torchrun tells each process about all of them.

    Attributes:
        rank: of this process, from 0.
        count: of all processes, on all machines.
        machines: that they run on, equally many on each.
    """

    rank: int = 0
    count: int = 1
    machines: int = 1


def started_processes() -> Processes:
    """Gives the processes that this one was started with; it alone where torchrun did not start it."""
    count, here = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return Processes(int(os.environ.get("RANK", "0")), count, max(1, count // here))


def make_fabric(settings: TrainSettings, device: str, processes: Processes) -> Fabric:
    """Gives Fabric for a device (``auto``, ``cpu``, ``cuda``, ``cuda:1``), joined with the other processes.

    Raises:
        RecipeError: the settings ask for what the device cannot do.
    """
    accelerator, _, index = device.partition(":")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if on_cpu and settings.precision == "16-mixed":
        raise RecipeError("precision 16-mixed needs a GPU, found cpu; use bf16-mixed")
    if on_cpu and settings.sync_batch_norm:
        raise RecipeError("sync_batch_norm needs CUDA, found cpu; leave it out")
    if processes.count > 1 and index:
        raise RecipeError(f"--device {device}: with {processes.count} processes each takes a device of its own: cuda")
    here = processes.count // processes.machines
    fabric = Fabric(
        accelerator=accelerator,
        devices=[int(index)] if index else here,
        num_nodes=processes.machines,
        strategy="ddp" if processes.count > 1 else "auto",
        precision=settings.precision,
    )
    fabric.launch()
    return fabric


def with_synchronised_norms(network: Network) -> Network:
    """Gives a network that computes as ``network`` with batch statistics over all processes, and shares its tensors."""
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    convert = nn.SyncBatchNorm.convert_sync_batchnorm
    converted: Network = convert(copy.deepcopy(network, shared))  # type: ignore[no-untyped-call]
    for module in converted.modules():
        if isinstance(module, nn.SyncBatchNorm):
            module.num_batches_tracked = torch.zeros((), device=module.weight.device)  # torch counts here
    return converted
