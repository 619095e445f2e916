"""Focal loss: what is answered well already counts less (Lin et al., Focal Loss for Dense Object Detection, 2017)."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

_LEAST_ERROR = 1e-6  # keeps the gradient of a root finite where the answer is exact


class Focus(NamedTuple):
    """Which errors count.

    Attributes:
        gamma: the higher, the less what is nearly right counts; 0 is plain cross-entropy, whatever ``alpha``.
        alpha: weight of what is there, 0..1; what is not has ``1 - alpha``.
    """

    gamma: float
    alpha: float


def binary_loss(logits: Tensor, wanted: Tensor, focus: Focus) -> Tensor:
    """Gives the loss of each probability, in the shape of ``logits``.

    Where ``wanted`` is neither 0 nor 1 the error is the distance to it, as in the quality focal loss (Li et al.,
    Generalized Focal Loss, 2020).

    Args:
        logits: of the probabilities.
        wanted: 0..1, in the shape of ``logits``.
    """
    loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    if not focus.gamma:
        return loss
    error = (wanted - logits.sigmoid()).abs().clamp(min=_LEAST_ERROR)
    return loss * error.pow(focus.gamma) * (wanted * focus.alpha + (1 - wanted) * (1 - focus.alpha))


def categorical_loss(logits: Tensor, class_id: Tensor, smooth: float, focus: Focus) -> Tensor:
    """Gives the loss of each softmax, shape (P,); every one of them has its class, so ``alpha`` does not matter.

    Args:
        logits: shape (P, classes).
        class_id: shape (P,).
        smooth: share of the target that is spread over all classes.
    """
    loss = F.cross_entropy(logits, class_id, reduction="none", label_smoothing=smooth)
    if not focus.gamma:
        return loss
    found = logits.softmax(1).gather(1, class_id[:, None])[:, 0]
    return loss * (1 - found).clamp(min=_LEAST_ERROR).pow(focus.gamma)
