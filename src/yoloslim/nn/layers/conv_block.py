"""Convolution, batch-norm, activation: Darknet's convolutional layer."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from yoloslim.graph.ops import Convolution
from yoloslim.nn.layers.activation import Activation
from yoloslim.nn.layers.blur import blur_of

DARKNET_BN_EPS = 1e-6
"""Inside the root (blas.c, normalize_cpu, .000001f); 1e-5 changes head maps by 6e-3 on published weights."""


class BatchNorm(nn.BatchNorm2d):
    """Batch-norm with Darknet's epsilon and momentum, without a batch counter: nothing here reads one."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=DARKNET_BN_EPS, momentum=0.1)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any) -> None:
        """Tells torch not to add a counter to state dicts without one, which it takes for old ones."""
        super()._load_from_state_dict(state_dict, prefix, {**local_metadata, "version": 2}, *rest)


class ConvBlock(nn.Module):
    """Convolution, batch-norm where the section asks for it, activation.

    Maps ``(B, C, H, W)`` to ``(B, filters, H', W')``; the bias is the batch-norm's where there is one. Behind the
    activation lies a blur where the section asks for it.
    """

    def __init__(self, in_channels: int, op: Convolution) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            op.filters,
            op.size,
            op.strides,
            op.pad * op.dilation,
            dilation=op.dilation,
            groups=op.groups,
            bias=not op.batch_norm,
        )
        self.norm = BatchNorm(op.filters) if op.batch_norm else None
        self.activation = Activation(op.activation)
        self.blur = blur_of(op)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the activated map."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return self.blur(self.activation(x))  # type: ignore[no-any-return]


class SharedConvBlock(nn.Module):
    """A convolution with the weights, and the batch-norm, of another one (``share_index``); it has no tensors.

    Args:
        owner: the other one.
    """

    def __init__(self, op: Convolution, owner: ConvBlock) -> None:
        super().__init__()
        self.op = op
        self._owner = (owner,)  # in a tuple, so that torch does not count its tensors twice
        self.activation = Activation(op.activation)
        self.blur = blur_of(op)

    @property
    def owner(self) -> ConvBlock:
        """The convolution with the weights."""
        return self._owner[0]

    def forward(self, x: Tensor) -> Tensor:
        """Gives the activated map, ``(B, C, H, W) -> (B, filters, H', W')``."""
        op, conv = self.op, self.owner.conv
        x = F.conv2d(x, conv.weight, conv.bias, op.strides, op.pad * op.dilation, op.dilation, op.groups)
        if self.owner.norm is not None:
            x = self.owner.norm(x)
        return self.blur(self.activation(x))  # type: ignore[no-any-return]
