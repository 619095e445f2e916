"""Each distillation term: its formula, and what holds for all of them."""

import itertools
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from yoloslim.compress.distillation.methods import TERMS
from yoloslim.compress.distillation.scene import Scene, near_objects
from yoloslim.compress.distillation.term import Term
from yoloslim.compress.distillation.terms.binary import BinaryClasses, BinaryObjectness
from yoloslim.compress.distillation.terms.box import BoxHint, Localisation, TruthBoxes
from yoloslim.compress.distillation.terms.feature import Attention, ChannelWise, NearAttention, NearFeatures
from yoloslim.compress.distillation.terms.soft import SoftOutputs, SoftScores
from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import assign

ANCHORS = ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0), (81.0, 82.0))
SIZE = (64, 64)
GRIDS = ((2, 2), (4, 4))
TARGETS = torch.tensor([[0, 0, 0.3, 0.4, 0.3, 0.5], [1, 0, 0.7, 0.6, 0.2, 0.2], [1, 0, 0.2, 0.2, 0.5, 0.6]])


def yolos(classes: int) -> tuple[Yolo, ...]:
    return Yolo((2, 3), ANCHORS, classes), Yolo((0, 1), ANCHORS, classes, scale_x_y=1.1)


def scene_of(classes: int, targets: Tensor = TARGETS, count: int = 2) -> Scene:
    heads = yolos(classes)
    strides = tuple((SIZE[0] / columns, SIZE[1] / rows) for rows, columns in GRIDS)
    near = [near_objects(targets, *pair[:2], (count, *pair[2])) for pair in zip(heads, strides, GRIDS, strict=True)]
    return Scene(heads, strides, tuple(assign(targets, heads, GRIDS, SIZE, 0.2)), tuple(near))


def views(term: Term, seed: int, classes: int = 3, count: int = 2, scale: float = 2.0) -> list[Tensor]:
    """What a network says, for what the term compares."""
    generator = torch.Generator().manual_seed(seed)
    if term.compares == "heads":
        shapes = [(count, 2, *grid, 5 + classes) for grid in GRIDS]
    else:
        shapes = [(count, 6, *grid) for grid in GRIDS]
    return [scale * torch.randn(shape, generator=generator) for shape in shapes]


def learning(maps: list[Tensor]) -> list[Tensor]:
    return [part.clone().requires_grad_() for part in maps]


def rows(heads: list[Tensor]) -> np.ndarray:
    return np.concatenate([head.numpy().reshape(-1, head.shape[-1]) for head in heads]).astype(float)


def softmax(values: np.ndarray) -> np.ndarray:
    shares = np.exp(values - values.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def divergence(student: np.ndarray, teacher: np.ndarray, temperature: float) -> np.ndarray:
    own, aim = softmax(student / temperature), softmax(teacher / temperature)
    return temperature**2 * (aim * np.log(aim / own)).sum(-1)


def binary(student: np.ndarray, teacher: np.ndarray, temperature: float) -> np.ndarray:
    own, aim = sigmoid(student / temperature), sigmoid(teacher / temperature)
    return temperature**2 * (aim * np.log(aim / own) + (1 - aim) * np.log((1 - aim) / (1 - own)))


def plain_outputs(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    return float(divergence(rows(student), rows(teacher), 3.0).mean())


def plain_scores(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    return float(divergence(rows(student)[:, 4:], rows(teacher)[:, 4:], 3.0).mean())


def plain_objectness(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    own, aim = rows(student)[:, 4], rows(teacher)[:, 4]
    return float(binary(own, aim, 1.0).sum() / max(sigmoid(aim).sum(), len(student[0])))


def plain_classes(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    own, aim = rows(student), rows(teacher)
    worth = sigmoid(aim[:, 4])
    return float((worth * binary(own[:, 5:], aim[:, 5:], 1.0).sum(1)).sum() / worth.sum())


def plain_box(raw: np.ndarray, yolo: Yolo, place: tuple[int, int, int], stride: float) -> np.ndarray:
    """Centre and sides in cells, of one anchor, row and column."""
    anchor, row, column = place
    offset = sigmoid(raw[:2]) * yolo.scale_x_y - (yolo.scale_x_y - 1) / 2
    sides = np.exp(raw[2:4]) * np.array(yolo.anchors[yolo.mask[anchor]]) / stride
    return np.concatenate([offset + np.array([column, row]), sides])


def distances(
    student: list[Tensor], teacher: list[Tensor], scene: Scene, distance: Callable[..., float]
) -> list[float]:
    """Of every match, as shares of the object's area."""
    found = []
    for own, aim, yolo, stride, matches in zip(
        student, teacher, scene.yolos, scene.strides, scene.matches, strict=True
    ):
        for image, *place, truth in zip(*(part.tolist() for part in (*matches.cells, matches.box)), strict=True):
            boxes = [plain_box(head[image][tuple(place)].numpy(), yolo, tuple(place), stride[0]) for head in (own, aim)]
            found.append(distance(*boxes, np.array(truth)) / (truth[2] * truth[3]))
    return found


def plain_matches(*views_and_distance: Any) -> float:
    return float(np.log1p(distances(*views_and_distance)).mean())


def plain_truth_boxes(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    def distance(own: np.ndarray, aim: np.ndarray, truth: np.ndarray) -> float:
        off, bound = ((own - truth) ** 2).sum(), ((aim - truth) ** 2).sum()
        return off if off > bound else 0.0

    return plain_matches(student, teacher, scene, distance)


def plain_boxes(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    return plain_matches(student, teacher, scene, lambda own, aim, truth: ((own - aim) ** 2).sum())


def plain_ciou(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2), np.minimum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2)
    shared = np.prod(np.maximum(high - low, 0))
    iou = shared / (a[2] * a[3] + b[2] * b[3] - shared)
    hull = np.maximum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2) - np.minimum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2)
    angle = 4 / math.pi**2 * (math.atan(a[2] / a[3]) - math.atan(b[2] / b[3])) ** 2
    return iou - ((a[:2] - b[:2]) ** 2).sum() / (hull**2).sum() - angle**2 / (1 - iou + angle)


def plain_localisation(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    found = total = 0.0
    for own, aim, yolo, stride in zip(student, teacher, scene.yolos, scene.strides, strict=True):
        for image, *place in itertools.product(*map(range, own.shape[:4])):
            raws = [head[image][tuple(place)].numpy() for head in (own, aim)]
            worth = float(sigmoid(raws[1][4]))
            boxes = [plain_box(raw, yolo, tuple(place), stride[0]) for raw in raws]
            found += worth * (1 - plain_ciou(*(np.append(box[:2], box[2:].clip(0.05)) for box in boxes)))
            total += worth
    return found / total


def plain_attention(student: list[Tensor], teacher: list[Tensor], near: list[Tensor]) -> float:
    found = []
    for own, aim, mask in zip(student, teacher, near, strict=True):
        active = [np.abs(part.numpy()).mean(1) for part in (own, aim)]
        active = [part / part.std((1, 2), keepdims=True) * mask.numpy() for part in active]
        found.append(divergence(*(part.reshape(len(part), -1) for part in active), 3.0).mean())
    return float(np.mean(found))


def plain_channels(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    pairs = zip(student, teacher, strict=True)
    flat = [[part.numpy().reshape(*part.shape[:2], -1) for part in pair] for pair in pairs]
    return float(np.mean([divergence(*pair, 4.0).mean() for pair in flat]))


def plain_near_features(student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    found = []
    for own, aim, near in zip(student, teacher, scene.near, strict=True):
        cells = near.bool().numpy()
        mine, theirs = (part.permute(0, 2, 3, 1).numpy()[cells] for part in (own, aim))
        found.append(((mine - theirs) ** 2).sum() / (theirs**2).sum())
    return float(np.mean(found))


PLAIN = {
    SoftOutputs: plain_outputs,
    SoftScores: plain_scores,
    TruthBoxes: plain_truth_boxes,
    BoxHint: plain_boxes,
    BinaryObjectness: plain_objectness,
    BinaryClasses: plain_classes,
    Localisation: plain_localisation,
    Attention: lambda own, aim, scene: plain_attention(own, aim, [torch.ones_like(near) for near in scene.near]),
    NearAttention: lambda own, aim, scene: plain_attention(own, aim, list(scene.near)),
    ChannelWise: plain_channels,
    NearFeatures: plain_near_features,
}

SOFTENED = [name for name, term in TERMS.items() if "temperature" in {field.name for field in fields(term)}]
every_term = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)


@every_term
def test_a_term_is_what_its_formula_says(term: Term) -> None:
    student, teacher, scene = views(term, 0), views(term, 1), scene_of(3)

    assert float(term(student, teacher, scene)) == pytest.approx(PLAIN[type(term)](student, teacher, scene), rel=1e-4)


@every_term
def test_a_student_that_is_its_teacher_loses_nothing(term: Term) -> None:
    same = views(term, 0)

    assert abs(float(term(same, same, scene_of(3)))) < 1e-6


@every_term
def test_a_network_of_one_class_has_something_to_learn_and_the_teacher_has_not(term: Term) -> None:
    student, teacher = learning(views(term, 0, classes=1)), learning(views(term, 1, classes=1))

    loss = term(student, teacher, scene_of(1))
    loss.backward()

    assert float(loss.detach()) > 0
    assert any(float(part.grad.abs().max()) > 0 for part in student)
    assert all(part.grad is None for part in teacher)


@every_term
def test_a_batch_with_every_picture_twice_has_the_same_value(term: Term) -> None:
    student, teacher = views(term, 0), views(term, 1)
    again = TARGETS.clone()
    again[:, 0] += 2
    double = [[torch.cat([part, part]) for part in maps] for maps in (student, teacher)]

    value = term(*double, scene_of(3, torch.cat([TARGETS, again]), count=4))

    torch.testing.assert_close(value, term(student, teacher, scene_of(3)))


@every_term
def test_a_batch_without_objects_has_a_value(term: Term) -> None:
    student = learning(views(term, 0))

    loss = term(student, views(term, 1), scene_of(3, torch.zeros(0, 6)))
    loss.backward()

    assert math.isfinite(float(loss.detach()))
    assert all(part.grad is None or part.grad.isfinite().all() for part in student)


@pytest.mark.parametrize("name", ["outputs", "scores", "truth_boxes", "boxes", "attention", "near_attention"])
def test_the_originals_take_sums(name: str) -> None:
    term = TERMS[name]
    originals = replace(term, reduction="originals")
    student, teacher, scene = views(term, 0), views(term, 1), scene_of(3)

    found = float(originals(student, teacher, scene))

    if name in ("outputs", "scores"):
        boxes = sum(part[0, ..., 0].numel() for part in student)
        assert found == pytest.approx(boxes * float(term(student, teacher, scene)), rel=1e-5)
    elif name in ("boxes", "truth_boxes"):
        unit = [replace(m, box=m.box.clone()) for m in scene.matches]
        assert found == pytest.approx(in_cells(name, student, teacher, replace(scene, matches=tuple(unit))), rel=1e-4)
    else:
        sums = [
            [part.abs().sum(1) * mask for part, mask in zip(maps, masks_of(name, scene), strict=True)]
            for maps in (student, teacher)
        ]
        pairs = zip(*sums, strict=True)
        expected = sum(divergence(*(part.flatten(1).numpy() for part in pair), 3.0).mean() for pair in pairs)
        assert found == pytest.approx(expected, rel=1e-4)


def masks_of(name: str, scene: Scene) -> list[Tensor]:
    return list(scene.near) if name == "near_attention" else [torch.ones_like(near) for near in scene.near]


def in_cells(name: str, student: list[Tensor], teacher: list[Tensor], scene: Scene) -> float:
    """The sum of squared distances in cells."""

    def distance(own: np.ndarray, aim: np.ndarray, truth: np.ndarray) -> float:
        off, bound = ((own - truth) ** 2).sum(), ((aim - truth) ** 2).sum()
        chosen = ((own - aim) ** 2).sum() if name == "boxes" else off * (off > bound)
        return chosen * truth[2] * truth[3]

    return sum(distances(student, teacher, scene, distance))


@pytest.mark.parametrize("name", ["boxes", "truth_boxes"])
def test_the_gradient_of_a_side_is_bounded_however_far_it_is_off(name: str) -> None:
    student, scene = views(TERMS[name], 0), scene_of(3)
    for part in student:
        part[..., 2:4] += 6.0
    student = learning(student)

    TERMS[name](student, views(TERMS[name], 1), scene).backward()

    assert 0 < max(float(part.grad.abs().max()) for part in student) <= 2


@pytest.mark.parametrize("name", SOFTENED)
def test_the_temperature_of_what_is_softened_counts(name: str) -> None:
    term = TERMS[name]
    student, teacher, scene = views(term, 0), views(term, 1), scene_of(3)

    assert float(replace(term, temperature=8.0)(student, teacher, scene)) != float(term(student, teacher, scene))
