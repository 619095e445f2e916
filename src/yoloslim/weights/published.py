"""Weights that their authors publish, by name: where they are, and what is known of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yoloslim.downloads.remote import Remote, fetch
from yoloslim.downloads.transfer import Progress, unseen
from yoloslim.errors import WeightsError
from yoloslim.zoo.catalog import networks
from yoloslim.zoo.data_sets import DATA_SETS

_ALEXEY = "https://github.com/AlexeyAB/darknet/releases/download"
_REDMON = "https://pjreddie.com/media/files"
_FASTEST = (
    "https://raw.githubusercontent.com/dog-qiuqiu/Yolo-Fastest/96a2900d163196c396e73f3fdab04ca4dd9a2f70"
    "/ModelZoo/yolo-fastest-1.1_coco"
)
_MOBILENET = "https://raw.githubusercontent.com/dog-qiuqiu/MobileNet-Yolo/86c05bfc4e508d54a459a469faecc35a113454c1"


@dataclass(frozen=True, slots=True)
class Published:
    """Weights with a name.

    Attributes:
        name: what the user calls them; that of their network, where the zoo has it.
        remote: the file.
        class_names: by class id; none for the first layers of a network, which are there to train from.
    """

    name: str
    remote: Remote
    class_names: tuple[str, ...] = ()

    @property
    def network(self) -> str:
        """The network of the zoo that they are for; empty where it has none, or where they are for several."""
        return self.name if self.name in networks() else ""


_COCO_DETECTORS: Mapping[str, Remote] = {
    "yolov2": Remote(f"{_REDMON}/yolov2.weights", size=203_934_260),
    "yolov2-tiny": Remote(f"{_REDMON}/yolov2-tiny.weights"),
    "yolov3": Remote(f"{_REDMON}/yolov3.weights", size=248_007_048),
    "yolov3-spp": Remote(f"{_REDMON}/yolov3-spp.weights"),
    "yolov3-tiny": Remote(
        f"{_REDMON}/yolov3-tiny.weights",
        "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
        35_434_956,
    ),
    "yolov4": Remote(f"{_ALEXEY}/darknet_yolo_v3_optimal/yolov4.weights", size=257_717_640),
    "yolov4-csp": Remote(f"{_ALEXEY}/darknet_yolo_v4_pre/yolov4-csp.weights"),
    "yolov4x-mish": Remote(f"{_ALEXEY}/darknet_yolo_v4_pre/yolov4x-mish.weights"),
    "yolov4-tiny": Remote(f"{_ALEXEY}/darknet_yolo_v4_pre/yolov4-tiny.weights", size=24_251_276),
    "yolov7-tiny": Remote(f"{_ALEXEY}/yolov4/yolov7-tiny.weights"),
    "yolo-fastest-1.1": Remote(
        f"{_FASTEST}/yolo-fastest-1.1.weights",
        "1c445c42bbd6df63edea2cc69f99667b5650d663ca11e34b116240740cd42890",
        1_384_268,
    ),
    "yolo-fastest-1.1-xl": Remote(
        f"{_FASTEST}/yolo-fastest-1.1-xl.weights",
        "fac5fb41786c1f38f04972a658443b189f48720d7d117f9a044100e98a35b0c5",
        3_693_964,
    ),
    "MobileNetV2-YOLOv3-Nano-coco": Remote(
        f"{_MOBILENET}/MobileNetV2-YOLOv3-Nano/COCO/MobileNetV2-YOLOv3-Nano-coco.weights",
        "60a6c2a86735fd39ff54d61f9a16f3ac3fe24a8b2e0d7740585bf2b54a5db81a",
        3_564_300,
    ),
}
_FACE = Remote(
    f"{_MOBILENET}/yoloface-500k/v1/yoloface-500k.weights",
    "271ff333aecdd11928e8da4d20bf6d398e1d0631f39aaec3e50be26135c3279f",
    520_580,
)
_FIRST_LAYERS: Mapping[str, Remote] = {
    "darknet53.conv.74": Remote(f"{_REDMON}/darknet53.conv.74", size=162_482_580),
    "yolov4.conv.137": Remote(f"{_ALEXEY}/darknet_yolo_v3_optimal/yolov4.conv.137", size=170_038_676),
    "yolov4-csp.conv.142": Remote(f"{_ALEXEY}/darknet_yolo_v4_pre/yolov4-csp.conv.142"),
    "yolov4x-mish.conv.166": Remote(f"{_ALEXEY}/darknet_yolo_v4_pre/yolov4x-mish.conv.166"),
    "yolov4-tiny.conv.29": Remote(f"{_ALEXEY}/darknet_yolo_v4_pre/yolov4-tiny.conv.29", size=19_789_716),
    "MobileNetV2-Nano.57": Remote(
        f"{_MOBILENET}/MobileNetV2-YOLOv3-Nano/MobileNetV2-Nano.57",
        "ee5b5f6654cc89ab9335e884be5d1854fcaf8abc7fcba2f52dfff2b85c842107",
        1_475_476,
    ),
}

PUBLISHED: Mapping[str, Published] = {
    **{name: Published(name, remote, DATA_SETS["coco"].names) for name, remote in _COCO_DETECTORS.items()},
    "yoloface-500k": Published("yoloface-500k", _FACE, ("face",)),
    **{name: Published(name, remote) for name, remote in _FIRST_LAYERS.items()},
}
"""By name. Addresses are those of the authors; sizes and hashes are entered only where they are stated for the file."""


def find_published(text: str | Path) -> Published | None:
    """Gives the published weights that the user means, None where the text names a file.

    Raises:
        WeightsError: there is no such file, and the text is nearly the name of published weights.
    """
    path = Path(text)
    if path.is_file() or len(path.parts) != 1:
        return None
    name = str(path)
    if name in PUBLISHED:
        return PUBLISHED[name]
    near = difflib.get_close_matches(name.removesuffix(".weights"), PUBLISHED, n=1, cutoff=0.8)
    if near:
        raise WeightsError(f"{name}: no such file; published weights have names: did you mean {near[0]}?")
    return None


def weights_file(text: str, *, trust: bool = False, progress: Progress = unseen) -> Path:
    """Gives the file that a text names: a path, or the name of published weights, which are fetched.

    Raises:
        WeightsError: there is no such file, and the text is nearly the name of published weights.
        DownloadError: they cannot be fetched, or must be trusted first.
    """
    published = find_published(text)
    return Path(text) if published is None else fetch(published.remote, trust=trust, progress=progress)
