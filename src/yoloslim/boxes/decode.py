"""Head maps read as boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.detections import Detections
from yoloslim.errors import CfgError
from yoloslim.graph.ops import Yolo

_SATURATION = 40.0  # logits beyond it change no probability a user can see, and exp(40) px is no box: keeps exp finite
_MARGIN = 1e-3  # logits are sieved this far below the threshold, then scores decide exactly


def decode(head_map: NDArray[np.float32], yolo: Yolo, size: tuple[int, int], conf: float) -> Detections:
    """Gives every box of one head and one picture whose objectness times class probability is above ``conf``.

    A box counts once for each class that reaches ``conf``. Values that are not a number, and boxes whose coordinates
    are infinite, are dropped. Follows Darknet's ``get_yolo_box``; in a Gaussian head the certainty of a box is a factor
    of its score too (``get_gaussian_yolo_detections``).

    Args:
        head_map: shape (anchors, h, w, values of a box), raw: x, y, width, height, objectness, classes; in a Gaussian
            head an uncertainty follows each of x, y, width and height.
        yolo: the head.
        size: width and height of the network's input, pixels; the stride follows from it and the head map.
        conf: threshold, 0..1.

    Returns:
        Candidates before suppression, in the order of the head map; boxes in pixels of the network's input, xyxy,
        not clipped.

    Raises:
        ValueError: the head map does not have the shape that the head needs.
        CfgError: the classes of the head form a tree.
    """
    if yolo.class_score == "tree":
        raise CfgError(
            "[region] tree=: boxes with a tree of classes (YOLO9000) cannot be read; train with plain classes"
        )
    shape = _checked_shape(head_map, yolo)
    rows = head_map.reshape(-1, shape[3])
    cells = np.flatnonzero(rows[:, yolo.objectness] > _sieve(np.float32(conf), yolo))
    cells = cells[np.isfinite(rows[cells, : yolo.objectness]).all(axis=1)]
    rows = np.clip(rows[cells], -_SATURATION, _SATURATION)
    likely = _probability(rows[:, yolo.objectness], yolo)
    if yolo.gaussian:
        likely = likely * (1 - _probability(rows[:, yolo.uncertainties], yolo).mean(axis=1))
    index, class_ids, scores = _scores(likely, rows[:, yolo.objectness + 1 :], yolo, conf)
    boxes = _boxes(rows[:, yolo.box], np.unravel_index(cells, shape[:3]), shape, yolo, size)
    return Detections(boxes[index], scores, class_ids)


def _checked_shape(head_map: NDArray[np.float32], yolo: Yolo) -> tuple[int, int, int, int]:
    anchors, channels = len(yolo.mask), yolo.values
    if head_map.ndim != 4 or head_map.shape[0] != anchors or head_map.shape[3] != channels:
        raise ValueError(f"head map: expected shape ({anchors}, h, w, {channels}), found {head_map.shape}")
    return anchors, head_map.shape[1], head_map.shape[2], channels


def _scores(
    probability: NDArray[np.float32], classes: NDArray[np.float32], yolo: Yolo, conf: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Row, class and score of each pair above ``conf``, from what a box is worth (n,) and raw classes (n, classes)."""
    share = np.divide(conf, probability, out=np.ones_like(probability), where=probability > conf)
    if yolo.class_score == "softmax":
        shares = _softmax(classes)
        index, class_ids = np.nonzero(shares > share[:, None] - np.float32(_MARGIN))
        scores = probability[index] * shares[index, class_ids]
    else:
        index, class_ids = np.nonzero(classes > _sieve(share, yolo)[:, None])
        scores = probability[index] * _probability(classes[index, class_ids], yolo)
    above = scores > conf
    return index[above], class_ids[above], scores[above]


def _sieve(probability: NDArray[np.float32] | np.float32, yolo: Yolo) -> NDArray[np.float32]:
    """A raw value just below which no probability reaches ``probability``, so that few are exponentiated."""
    if yolo.new_coords:
        return np.asarray(probability - np.float32(_MARGIN), np.float32)
    with np.errstate(divide="ignore"):  # 0 and 1 belong to -inf and inf
        return np.asarray(np.log(probability) - np.log1p(-probability) - np.float32(_MARGIN), np.float32)


def _probability(raw: NDArray[np.float32], yolo: Yolo) -> NDArray[np.float32]:
    return raw if yolo.new_coords else np.asarray(1 / (1 + np.exp(-raw)), np.float32)


def _softmax(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares of the classes, from raw values of shape (n, classes)."""
    exponents = np.exp(raw - raw.max(axis=1, keepdims=True, initial=-_SATURATION))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True), np.float32)


def _boxes(
    raw: NDArray[np.float32],
    cells: tuple[NDArray[np.int64], ...],
    shape: tuple[int, ...],
    yolo: Yolo,
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """Boxes, xyxy in the network's input, from raw values of shape (n, 4) at (anchor, row, column)."""
    anchor, row, column = cells
    stride = np.array([size[0] / shape[2], size[1] / shape[1]], np.float32)
    anchors = np.array(yolo.used_anchors((stride[0], stride[1])), np.float32)[anchor]  # (n, 2)
    offset = _probability(raw[:, :2], yolo) * np.float32(yolo.scale_x_y) - np.float32((yolo.scale_x_y - 1) / 2)
    centre = (offset + np.stack([column, row], axis=1).astype(np.float32)) * stride
    half = (np.square(2 * raw[:, 2:]) if yolo.new_coords else np.exp(raw[:, 2:])) * anchors / 2
    return np.concatenate([centre - half, centre + half], axis=1)
