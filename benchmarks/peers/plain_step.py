"""A training step as the PyTorch ports of 2020 take it, to compare ours with: their layers, loss and optimiser.

Written anew from what such a step does: modules of torch one by one, maps laid out NCHW, torch's own memory allocator,
the target assignment without a Python loop over objects, GIoU, objectness with the overlap as its target, SGD with
Nesterov momentum and weight decay on convolution weights. It knows the sections of YOLOv3-tiny, YOLOv4-tiny and the
small MobileNetV3.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Options = Mapping[str, str]

_BOX, _OBJECTNESS, _CLASSES, _ANCHOR_IOU = 3.54, 64.3, 37.4, 0.20  # their weights
_PARTS = ("forward", "assignment", "loss", "backward", "update")


class HardSwish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * F.relu6(x + 3.0) / 6.0


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(inplace=True), nn.Linear(hidden, channels, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        scales = self.dense(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return x * (F.relu6(scales + 3.0) / 6.0)[:, :, None, None]


ACTIVATIONS = {
    "leaky": lambda: nn.LeakyReLU(0.1, inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "h_swish": HardSwish,
    "linear": nn.Identity,
}


class PlainNetwork(nn.Module):
    """Runs sections in turn and keeps every map that a later one may read.

    Args:
        sections: name and options of each section after ``[net]``.
    """

    def __init__(self, sections: Sequence[tuple[str, Options]]) -> None:
        super().__init__()
        self.sections = sections
        self.layers = nn.ModuleList()
        channels = [3]
        for index, (kind, options) in enumerate(sections):
            layer, out = _layer(kind, options, channels, index)
            self.layers.append(layer)
            channels.append(out)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Gives the head maps, (B, anchors, h, w, 5 + classes)."""
        outputs: list[Tensor] = []
        heads: list[Tensor] = []
        for index, ((kind, options), layer) in enumerate(zip(self.sections, self.layers, strict=True)):
            if kind == "route":
                parts = [outputs[place] for place in _places(options["layers"], index)]
                x = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
                if "groups" in options:
                    x = x[:, x.shape[1] // 2 :]
            elif kind == "shortcut":
                x = x + outputs[_places(options["from"], index)[0]]
            elif kind == "yolo":
                b, _, h, w = x.shape
                anchors = len(options["mask"].split(","))
                heads.append(x.view(b, anchors, -1, h, w).permute(0, 1, 3, 4, 2).contiguous())
            else:
                x = layer(x)
            outputs.append(x)
        return heads


def _layer(kind: str, options: Options, channels: Sequence[int], index: int) -> tuple[nn.Module, int]:
    """The module of a section, and the channels that it gives; ``channels`` are those of all maps, the image first."""
    read = channels[-1]
    if kind in ("convolutional", "depthwise"):
        return _convolution(kind, options, read)
    if kind == "se":
        return SqueezeExcite(read, int(options["hidden"])), read
    if kind == "maxpool":
        return _max_pool(int(options["size"]), int(options["stride"])), read
    if kind == "upsample":
        return nn.Upsample(scale_factor=int(options["stride"])), read
    if kind == "route":
        total = sum(channels[place + 1] for place in _places(options["layers"], index))
        return nn.Identity(), total // int(options.get("groups", 1))
    return nn.Identity(), read


def _convolution(kind: str, options: Options, read: int) -> tuple[nn.Module, int]:
    filters, size = int(options.get("filters", read)), int(options["size"])
    has_norm = options.get("batch_normalize") == "1"
    groups = read if kind == "depthwise" else 1
    conv = nn.Conv2d(read, filters, size, int(options["stride"]), size // 2, groups=groups, bias=not has_norm)
    norm = [nn.BatchNorm2d(filters, momentum=0.03, eps=1e-4)] if has_norm else []
    return nn.Sequential(conv, *norm, ACTIVATIONS[options["activation"]]()), filters


def _max_pool(size: int, stride: int) -> nn.Module:
    pool = nn.MaxPool2d(size, stride, padding=(size - 1) // 2)
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), pool) if (size, stride) == (2, 1) else pool


def _places(text: str, index: int) -> list[int]:
    return [place if place >= 0 else index + place for place in map(int, text.split(","))]


class PlainStep:
    """Forward, loss, backward and update of a ``PlainNetwork``, each timed.

    Args:
        anchors: shape (A, 2), pixels, of each head.
        size: side of the picture, pixels.
    """

    def __init__(self, network: PlainNetwork, anchors: Sequence[Tensor], size: int) -> None:
        self.network, self.anchors, self.size = network.train(), anchors, size
        decayed = [p for name, p in network.named_parameters() if p.ndim == 4]
        others = [p for name, p in network.named_parameters() if p.ndim != 4]
        groups = [{"params": others}, {"params": decayed, "weight_decay": 5e-4}]
        self.optimizer = torch.optim.SGD(groups, lr=0.001, momentum=0.937, nesterov=True)
        self.seconds = dict.fromkeys(_PARTS, 0.0)

    def __call__(self, images: Tensor, targets: Tensor) -> None:
        """Takes one step.

        Args:
            images: shape (B, 3, H, W), uint8.
            targets: shape (M, 6): picture, class, centre x, centre y, width, height as shares.
        """
        marks = [time.perf_counter()]
        heads = self.network(images.float() / 255.0)
        marks.append(time.perf_counter())
        matches = [self._assign(head, targets, anchors) for head, anchors in zip(heads, self.anchors, strict=True)]
        marks.append(time.perf_counter())
        loss = sum(
            _head_loss(head, anchors * head.shape[3] / self.size, *found)
            for head, anchors, found in zip(heads, self.anchors, matches, strict=True)
        )
        marks.append(time.perf_counter())
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        marks.append(time.perf_counter())
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        marks.append(time.perf_counter())
        for part, start, end in zip(_PARTS, marks, marks[1:], strict=False):
            self.seconds[part] += end - start

    def _assign(self, head: Tensor, targets: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cells (index into the head map), boxes in cells and classes of the matches."""
        grid = head.new_tensor([head.shape[3], head.shape[2]])
        box = torch.cat([targets[:, 2:4] * grid, targets[:, 4:6] * grid], 1)
        cells = anchors / self.size * grid
        overlap = torch.minimum(cells[:, None], box[None, :, 2:]).prod(2)
        iou = overlap / (cells.prod(1)[:, None] + box[:, 2:].prod(1)[None] - overlap)
        anchor, index = (iou > _ANCHOR_IOU).nonzero(as_tuple=True)
        chosen = box[index]
        place = torch.stack(
            [
                targets[index, 0].long(),
                anchor,
                chosen[:, 1].long().clamp(0, head.shape[2] - 1),
                chosen[:, 0].long().clamp(0, head.shape[3] - 1),
            ]
        )
        return place, chosen, targets[index, 1].long()


def _head_loss(head: Tensor, anchors: Tensor, place: Tensor, box: Tensor, class_id: Tensor) -> Tensor:
    wanted = torch.zeros_like(head[..., 0])
    loss = head.new_zeros(())
    if len(class_id):
        raw = head[place[0], place[1], place[2], place[3]]
        corner = torch.stack([place[3], place[2]], 1).to(raw.dtype)
        centre, sides = raw[:, :2].sigmoid() + corner, raw[:, 2:4].exp().clamp(max=1e3) * anchors[place[1]]
        giou = _giou(torch.cat([centre, sides], 1), box)
        loss = loss + _BOX * (1 - giou).mean()
        wanted[place[0], place[1], place[2], place[3]] = giou.detach().clamp(min=0).to(wanted.dtype)
        labels = F.one_hot(class_id, raw.shape[1] - 5).to(raw.dtype)
        loss = loss + _CLASSES * F.binary_cross_entropy_with_logits(raw[:, 5:], labels)
    return loss + _OBJECTNESS * F.binary_cross_entropy_with_logits(head[..., 4], wanted)


def _giou(a: Tensor, b: Tensor) -> Tensor:
    a_low, a_high = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b_low, b_high = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    overlap = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - overlap + 1e-16
    hull = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).prod(1) + 1e-16
    return overlap / union - (hull - union) / hull
