"""Background that may be none: where the detector sees a class that nobody looked for in that picture."""

from __future__ import annotations

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches
from yoloslim.losses.decode import logits_of


def judged_cells(head_map: Tensor, matches: Matches, unlabelled: Tensor, yolo: Yolo, threshold: float) -> Tensor:
    """Gives the cells whose objectness the labels can judge, bool, shape (B, anchors, h, w).

    All can, but for background of which the detector says that an object of an unlabelled class is there: its most
    probable class is one, and objectness times class probability is above ``threshold``. Whether that is right is not
    known, so it is neither punished nor rewarded: the data sets that do label the class decide. Without this, each
    picture of a set that lacks a class teaches that its objects are background. Yao et al. (Cross-dataset training for
    class increasing object detection, 2020) leave such classes out of the loss of background; a head whose objectness
    is shared by all classes needs to ask first which class it is about. As in Zhao et al. (Object detection with a
    unified label space from multiple datasets, 2020), the answer is the detector's own.

    Class losses stay as they are: a labelled object is of its one class, and so of no other, labelled or not.

    Args:
        head_map: shape (B, anchors, h, w, values of a box), raw.
        matches: cells that answer for an object; they are always judged.
        unlabelled: shape (B, classes), bool: classes that nobody looked for in a picture.
        yolo: the head.
        threshold: 0..1.
    """
    with torch.no_grad():
        probability, class_id = _class_shares(head_map[..., yolo.objectness + 1 :], yolo).max(-1)  # (B, anchors, h, w)
        score = logits_of(head_map[..., yolo.objectness], yolo).sigmoid() * probability
        is_unlabelled = unlabelled.gather(1, class_id.flatten(1)).view_as(class_id)
        judged = ~(is_unlabelled & (score > threshold))
        judged[matches.cells] = True
    return judged


def _class_shares(raw: Tensor, yolo: Yolo) -> Tensor:
    return logits_of(raw, yolo).sigmoid() if yolo.class_score == "logistic" else raw.softmax(-1)
