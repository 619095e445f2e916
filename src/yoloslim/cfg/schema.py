"""The keys of every section: kind, default, range, and what cannot be honoured.

Keys and defaults follow AlexeyAB's Darknet (parser.c) plus the originals' ``[se]`` and ``[depthwise]``. A key that is
not listed is kept on writing and has no effect here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["integer", "number", "integers", "numbers", "text", "flag"]
Default = int | float | str | bool | tuple[float, ...] | None

MAX_FILTERS = 65536
"""Most filters of one layer: far above every published detector, far below what exhausts memory at once."""

NOT_SHARED = -1_000_000_000
"""``share_index`` of a convolution with weights of its own."""

MIXING_ACTIVATIONS = frozenset(
    {"normalize_channels", "normalize_channels_softmax", "normalize_channels_softmax_maxval"}
)
"""Activations whose value at one channel depends on the other channels."""

ACTIVATIONS = (
    frozenset(
        """logistic loggy relu relu6 elu selu relie ramp leaky revleaky tanh gelu plse stair hardtan lhtan linear
    swish mish hard_mish h_swish""".split()
    )
    | MIXING_ACTIVATIONS
)
"""Activation names: Darknet's (activations.c) and ``h_swish`` of the originals."""

NOT_DARKNETS = frozenset({"h_swish"})
"""Those of them that Darknet has not."""

SECTION_ALIASES = {
    "network": "net",
    "conv": "convolutional",
    "max": "maxpool",
    "avg": "avgpool",
    "local_avg": "local_avgpool",
    "silence": "empty",
    "conn": "connected",
    "soft": "softmax",
    "lrn": "normalization",
}
"""Darknet's other names of sections (string_to_layer_type)."""

TAIL_SECTIONS = ("connected", "softmax", "cost", "local", "detection", "normalization")
"""Sections at which a network without heads ends: the layers before them are the backbone of a classifier."""

_RECURRENT = "layers that remember earlier pictures are not supported; detect with a network of single pictures"
_CLASSIFIERS = "is a layer of classifiers, which only a cfg without heads may have, behind its backbone; remove it"

REFUSED_SECTIONS: Mapping[str, str] = {
    **dict.fromkeys(("rnn", "crnn", "lstm", "conv_lstm", "gru", "history"), _RECURRENT),
    **dict.fromkeys(TAIL_SECTIONS, _CLASSIFIERS),
    "batchnorm": "is not supported; put batch_normalize=1 into the convolution before it",
    "activation": "is not supported; put activation= into the layer before it",
    "implicit": "learned constants of YOLOR are not supported; train a network without them",
}
"""Darknet's sections that cannot be honoured: why, and what to do."""

IDLE_SECTIONS = frozenset({"contrastive"})
"""Sections that have an effect in Darknet and none here, which is worth saying."""

HEAD_SECTIONS = frozenset({"yolo", "region", "Gaussian_yolo"})
"""Sections that read a map as boxes."""


@dataclass(frozen=True, slots=True)
class Key:
    """What one key of a section may hold.

    Attributes:
        default: value when the key is absent; None where it is required or decided by other keys.
        minimum: smallest allowed number (each one, for lists).
        maximum: largest allowed number.
        choices: allowed words of a text; empty for any.
        refused: set where only the default can be honoured: why, and what to do.
        idle: has an effect in Darknet and none here, which is worth saying.
    """

    kind: Kind
    default: Default = None
    minimum: float = -(2.0**31)
    maximum: float = 2.0**31
    choices: frozenset[str] = frozenset()
    refused: str = ""
    idle: bool = False


def _count(default: int | None, maximum: float = 4096) -> Key:
    return Key("integer", default, minimum=1, maximum=maximum)


def _ignored(kind: Kind, *names: str) -> dict[str, Key]:
    return dict.fromkeys(names, Key(kind))


def _idle(*names: str) -> dict[str, Key]:
    return dict.fromkeys(names, Key("text", idle=True))


def _refused(reason: str, *names: str) -> dict[str, Key]:
    return {name: Key("integer", 0, refused=reason) for name in names}


_ACTIVATION = Key("text", "linear", choices=ACTIVATIONS)
_NORMALIZATION = Key("text", "none", choices=frozenset({"none", "relu", "avg_relu", "softmax"}))
_STOP = {"stopbackward": Key("integer", 0, minimum=0), "onlyforward": Key("flag", False)}
_TRAINING_ONLY = {**_STOP, **_ignored("text", "train_only_bn", "burnin_update", "learning_rate")}
_ANTIALIASING = {"antialiasing": Key("integer", 0, minimum=0)}
_STRIDES = {
    "stride": _count(1, 64),
    "stride_x": Key("integer", -1, maximum=64),
    "stride_y": Key("integer", -1, maximum=64),
}

_NET_TRAINING = """
    batch subdivisions max_batches burn_in momentum decay angle saturation exposure hue learning_rate power
    gamma step time_steps random max_crop min_crop max_ratio min_ratio center flip blur gaussian_noise mosaic
    mixup cutmix label_smooth_eps ema_alpha optimized_memory workspace_size_limit_MB dynamic_minibatch
    sequential_subdivisions num_sigmas_reject_badlabels equidistant_point adversarial_lr attention adam b1 b2 b3
    eps B1 B2 notruth aspect learning_rate_min batches_per_cycle batches_cycle_mult inputs show_receptive_field
    augment_speed init_sequential_subdivisions try_fix_nan weights_reject_freq
    badlabels_rejection_percentage badlabels_reject_threshold mosaic_bound scale
""".split()

_YOLO_TRAINING = """
    jitter resize random iou_normalizer cls_normalizer obj_normalizer delta_normalizer max_delta objectness_smooth
    nms_kind beta_nms thresh absolute counters_per_class iou_thresh_kind map max num uc_normalizer show_details
    nms_threshold softmax truth_thresh_kind
""".split()

_LOSS = {
    **dict.fromkeys(
        ("ignore_thresh", "truth_thresh", "iou_thresh", "label_smooth_eps"), Key("number", minimum=0.0, maximum=1.0)
    ),
    "iou_loss": Key("text", choices=frozenset({"mse", "iou", "giou", "diou", "ciou"})),
    "focal_loss": Key("flag"),
}

_TRACKING = "embedding_layer track_history_size sim_thresh dets_for_track dets_for_show track_ciou_norm".split()

_CONTRASTIVE = "contrastive contrastive_jit_flip contrastive_color unsupervised track".split()

_REGION_TRAINING = """
    jitter resize rescore thresh classfix absolute random coord_scale object_scale noobject_scale mask_scale class_scale
    bias_match map max focal_loss log sqrt
""".split()

SCHEMA: Mapping[str, Mapping[str, Key]] = {
    "net": {
        "width": _count(None, 65536),
        "height": _count(None, 65536),
        "channels": _count(3, 4096),
        "letter_box": Key("flag", False),
        **_ignored("text", "policy", "steps", "scales", "sgdr", "seq_scales", *_NET_TRAINING),
        **_idle(*_CONTRASTIVE),
    },
    "convolutional": {
        "filters": _count(1, MAX_FILTERS),
        "size": _count(1, 255),
        **_STRIDES,
        "pad": Key("flag", False),
        "padding": Key("integer", 0, minimum=0, maximum=1024),
        "dilation": _count(1, 255),
        "groups": _count(1, MAX_FILTERS),
        "batch_normalize": Key("flag", False),
        "cbn": Key("flag", False),
        "activation": Key("text", "logistic", choices=ACTIVATIONS),
        "share_index": Key("integer", NOT_SHARED),
        **_ANTIALIASING,
        "flipped": Key("flag", False, refused="transposed weights are of 2016's Darknet; convert them with it"),
        **_refused("binary weights are not supported; set it to 0 and train again", "xnor", "binary", "bin_output"),
        **_refused(
            "rotated kernels are not supported; set it to 0 and train again",
            *("deform", "sway", "rotate", "stretch", "stretch_sway"),
        ),
        **_refused("coordinates written over channels are not supported; set it to 0 and train again", "coordconv"),
        **_ignored("text", "use_bin_output", "wait_stream", "grad_centr", "reverse"),
        **_idle("assisted_excitation"),
        **_TRAINING_ONLY,
    },
    "depthwise": {
        "filters": Key("integer", None, minimum=1, maximum=MAX_FILTERS),
        "size": _count(1, 255),
        "stride": _count(1, 64),
        "pad": Key("flag", False),
        "batch_normalize": Key("flag", False),
        "activation": Key("text", "logistic", choices=ACTIVATIONS),
        **_TRAINING_ONLY,
    },
    "se": {
        "hidden": Key("integer", None, minimum=1, maximum=MAX_FILTERS),
        "reduction": _count(4, MAX_FILTERS),
        **_STOP,
    },
    "maxpool": {
        **_STRIDES,
        "size": Key("integer", None, minimum=1, maximum=65536),
        "padding": Key("integer", None, minimum=0, maximum=65536),
        "maxpool_depth": Key("flag", False),
        "out_channels": _count(1, MAX_FILTERS),
        **_ANTIALIASING,
        **_refused("cells set to zero are not supported; set it to 0 and train again", "maxpool_zero_nonmax"),
        **_STOP,
    },
    "local_avgpool": {
        **_STRIDES,
        "size": Key("integer", None, minimum=1, maximum=65536),
        "padding": Key("integer", None, minimum=0, maximum=65536),
        **_STOP,
    },
    "avgpool": {**_STOP},
    "upsample": {"stride": _count(2, 64), "scale": Key("number", 1.0), **_STOP},
    "reorg": {
        "stride": _count(1, 64),
        **_refused("only the plain form is supported; remove it", "reverse", "flatten", "extra"),
        **_STOP,
    },
    "reorg3d": {
        "stride": _count(1, 64),
        **_refused("only the plain form is supported; remove it", "reverse"),
        **_STOP,
    },
    "route": {
        "layers": Key("integers", None),
        "groups": _count(1, MAX_FILTERS),
        "group_id": Key("integer", 0, minimum=0, maximum=MAX_FILTERS),
        **_STOP,
    },
    "shortcut": {
        "from": Key("integers", None),
        "activation": _ACTIVATION,
        "weights_type": Key("text", "none", choices=frozenset({"none", "per_feature", "per_layer", "per_channel"})),
        "weights_normalization": _NORMALIZATION,
        "weights_normalizion": _NORMALIZATION,  # the name in Darknet until 2020
        **_STOP,
    },
    "sam": {"from": Key("integers", None), "activation": _ACTIVATION, **_STOP},
    "scale_channels": {
        "from": Key("integers", None),
        "activation": _ACTIVATION,
        "scale_wh": Key("flag", False),
        **_STOP,
    },
    "dropout": {
        "probability": Key("number", 0.2, minimum=0.0, maximum=1.0),
        "dropblock": Key("flag", False),
        "dropblock_size_rel": Key("number", 0.0, minimum=0.0, maximum=1.0),
        "dropblock_size_abs": Key("integer", 0, minimum=0, maximum=65536),
        **_STOP,
    },
    "crop": {
        "crop_height": _count(1, 65536),
        "crop_width": _count(1, 65536),
        "noadjust": Key("flag", False),
        **_ignored("text", "flip", "angle", "saturation", "exposure", "shift"),
        **_STOP,
    },
    "empty": {**_STOP},
    "contrastive": {
        **_ignored(
            "text", "classes", "temperature", "yolo_layer", "cls_normalizer", "max_delta", "contrastive_neg_max"
        ),
        **_STOP,
    },
    "yolo": {
        "mask": Key("integers", None, minimum=0, maximum=4096),
        "anchors": Key("numbers", None, minimum=0.0, maximum=65536.0),
        "classes": _count(20, 65536),
        "scale_x_y": Key("number", 1.0, minimum=0.1, maximum=10.0),
        "new_coords": Key("flag", False),
        **_LOSS,
        **_ignored("text", *_YOLO_TRAINING),
        **_idle(*_TRACKING),
        **_STOP,
    },
    "Gaussian_yolo": {
        "mask": Key("integers", None, minimum=0, maximum=4096),
        "anchors": Key("numbers", None, minimum=0.0, maximum=65536.0),
        "classes": _count(20, 65536),
        "scale_x_y": Key("number", 1.0, minimum=0.1, maximum=10.0),
        "yolo_point": Key("text", "center", refused="boxes told from a corner are not supported; train with center"),
        **_LOSS,
        **_ignored("text", *_YOLO_TRAINING),
        **_STOP,
    },
    "region": {
        "anchors": Key("numbers", None, minimum=0.0, maximum=65536.0),
        "classes": _count(20, 65536),
        "num": _count(1, 4096),
        "coords": Key("integer", 4, minimum=4, maximum=4),
        "softmax": Key("flag", False),
        "tree": Key("text", ""),
        **_refused("a background class is not supported; remove it", "background"),
        **_ignored("text", *_REGION_TRAINING),
        **_STOP,
    },
}
"""Known sections and their keys."""
