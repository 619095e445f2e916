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

SECTION_ALIASES = {"network": "net", "conv": "convolutional", "max": "maxpool", "avg": "avgpool"}
"""Darknet's short names of sections (string_to_layer_type)."""


@dataclass(frozen=True, slots=True)
class Key:
    """What one key of a section may hold.

    Attributes:
        default: value when the key is absent; None where it is required or decided by other keys.
        minimum: smallest allowed number (each one, for lists).
        maximum: largest allowed number.
        choices: allowed words of a text; empty for any.
        refused: set where only the default can be honoured: why, and what to do.
    """

    kind: Kind
    default: Default = None
    minimum: float = -(2.0**31)
    maximum: float = 2.0**31
    choices: frozenset[str] = frozenset()
    refused: str = ""


def _count(default: int | None, maximum: float = 4096) -> Key:
    return Key("integer", default, minimum=1, maximum=maximum)


def _ignored(kind: Kind, *names: str) -> dict[str, Key]:
    return dict.fromkeys(names, Key(kind))


def _refused(reason: str, *names: str) -> dict[str, Key]:
    return {name: Key("integer", 0, refused=reason) for name in names}


_ACTIVATION = Key("text", "linear", choices=ACTIVATIONS)
_TRAINING_ONLY = _ignored("text", "stopbackward", "train_only_bn", "burnin_update", "learning_rate", "onlyforward")
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
    track augment_speed init_sequential_subdivisions try_fix_nan weights_reject_freq
    badlabels_rejection_percentage badlabels_reject_threshold contrastive contrastive_jit_flip contrastive_color
    unsupervised mosaic_bound scale
""".split()

_YOLO_TRAINING = """
    jitter resize ignore_thresh truth_thresh random iou_thresh iou_loss iou_normalizer cls_normalizer
    obj_normalizer delta_normalizer max_delta objectness_smooth nms_kind beta_nms label_smooth_eps thresh
    absolute counters_per_class focal_loss iou_thresh_kind map max num uc_normalizer embedding_layer
    track_history_size sim_thresh dets_for_track dets_for_show track_ciou_norm show_details nms_threshold
    softmax truth_thresh_kind
""".split()

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
        "activation": Key("text", "logistic", choices=ACTIVATIONS),
        "flipped": Key("flag", False, refused="transposed weights are of 2016's Darknet; convert them with it"),
        **_refused("binary weights are not supported; set it to 0 and train again", "xnor", "binary", "bin_output"),
        **_refused("blurred strides are not supported; set it to 0 and train again", "antialiasing"),
        **_refused("rotated kernels are not supported", "deform", "sway", "rotate", "stretch", "stretch_sway"),
        "share_index": Key("integer", -1_000_000_000, refused="weights shared between layers are not supported yet"),
        **_ignored(
            "text", "assisted_excitation", "use_bin_output", "wait_stream", "grad_centr", "reverse", "coordconv"
        ),
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
    },
    "maxpool": {
        **_STRIDES,
        "size": Key("integer", None, minimum=1, maximum=65536),
        "padding": Key("integer", None, minimum=0, maximum=65536),
        **_refused("pooling over channels is not supported yet", "maxpool_depth"),
        **_refused("blurred strides are not supported; set it to 0 and train again", "antialiasing"),
        **_ignored("text", "out_channels", "maxpool_zero_nonmax", "stopbackward"),
    },
    "avgpool": {**_ignored("text", "stopbackward")},
    "upsample": {"stride": _count(2, 64), "scale": Key("number", 1.0), **_ignored("text", "stopbackward")},
    "reorg": {
        "stride": _count(1, 64),
        **_refused("only the plain form is supported; remove it", "reverse", "flatten", "extra"),
        **_ignored("text", "stopbackward"),
    },
    "reorg3d": {
        "stride": _count(1, 64),
        **_refused("only the plain form is supported; remove it", "reverse"),
        **_ignored("text", "stopbackward"),
    },
    "route": {
        "layers": Key("integers", None),
        "groups": _count(1, MAX_FILTERS),
        "group_id": Key("integer", 0, minimum=0, maximum=MAX_FILTERS),
        **_ignored("text", "stopbackward"),
    },
    "shortcut": {
        "from": Key("integers", None),
        "activation": _ACTIVATION,
        "weights_type": Key("text", "none", refused="weighted shortcuts are not supported yet"),
        **_ignored("text", "weights_normalization", "weights_normalizion", "stopbackward"),
    },
    "scale_channels": {
        "from": Key("integers", None),
        "activation": _ACTIVATION,
        "scale_wh": Key("flag", False),
        **_ignored("text", "stopbackward"),
    },
    "dropout": {
        "probability": Key("number", 0.5, minimum=0.0, maximum=1.0),
        **_refused("dropping blocks is not supported; use probability=", "dropblock"),
        **_ignored("text", "dropblock_size_rel", "dropblock_size_abs", "stopbackward"),
    },
    "yolo": {
        "mask": Key("integers", None, minimum=0, maximum=4096),
        "anchors": Key("numbers", None, minimum=0.0, maximum=65536.0),
        "classes": _count(20, 65536),
        "scale_x_y": Key("number", 1.0, minimum=0.1, maximum=10.0),
        "new_coords": Key("flag", False),
        **_ignored("text", *_YOLO_TRAINING),
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
    },
}
"""Known sections and their keys."""
