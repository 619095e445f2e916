"""A student beside its teachers: any pair of networks, in any precision, with gradients for the student alone."""

from collections.abc import Collection, Mapping
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from yoloslim.compress.distillation.distiller import Distiller
from yoloslim.compress.distillation.maps import Aligned
from yoloslim.compress.distillation.methods import METHODS, ORIGINALS, TERMS, Method, Weighted, weighted_terms
from yoloslim.compress.distillation.teacher import FileTeacher, NetworkTeacher, Seen, Teacher
from yoloslim.errors import DataError, RecipeError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.nn.probed import ProbedNetwork
from yoloslim.recipes.prune import planned, prune
from yoloslim.recipes.schema import PruneTable
from yoloslim.zoo.catalog import find

BODY = """[convolutional]
batch_normalize=1
filters={width}
size=3
stride=4
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters={width}
size=3
stride=2
pad=1
activation=mish
[convolutional]
filters={filters}
size=1
activation=linear
[yolo]
mask=0,1
anchors=10,14, 23,27
classes={classes}
"""
TARGETS = torch.tensor([[0, 0, 0.3, 0.4, 0.3, 0.5], [1, 0, 0.7, 0.6, 0.2, 0.2]])
ALL = {name: Weighted(term, 1.0) for name, term in TERMS.items()}


def small(width: int = 8, classes: int = 2, size: int = 32) -> Graph:
    body = BODY.format(width=width, classes=classes, filters=2 * (5 + classes))
    return parse_cfg(f"[net]\nwidth={size}\nheight={size}\n{body}")


def network(graph: Graph, seed: int) -> Network:
    torch.manual_seed(seed)
    return Network(graph).train()


def taught(
    student: Network, distiller: Distiller, images: Tensor, targets: Tensor = TARGETS
) -> tuple[Mapping[str, Tensor], ProbedNetwork]:
    probed = ProbedNetwork(student, distiller.probes)
    head_maps, seen = probed(images)
    return distiller(images, targets, head_maps, seen), probed


def pictures(graph: Graph, count: int = 2) -> Tensor:
    return torch.rand(count, *graph.input_shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_teaches_a_network_of_another_width(method: str) -> None:
    student, teacher = network(small(6), 0), NetworkTeacher("wide", network(small(10), 1))
    distiller = Distiller(student.graph, [teacher], weighted_terms(method, "mean", {}, 0.0), 0.2)

    terms, probed = taught(student, distiller, pictures(student.graph))
    torch.stack(list(terms.values())).sum().backward()

    assert set(terms) == {f"distill_{name}" for name in METHODS[method]}
    assert all(float(value.detach()) > 0 for value in terms.values())
    gradients = [parameter.grad for parameter in student.parameters() if parameter.grad is not None]
    assert any(float(gradient.abs().max()) > 0 for gradient in gradients)
    assert all(parameter.grad is not None for parameter in probed.probes.parameters())


def test_the_teacher_stays_as_it_is() -> None:
    student, source = network(small(6), 0), network(small(6), 1)
    before = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    teacher = NetworkTeacher("same", source)
    distiller = Distiller(student.graph, [teacher], ALL, 0.2)

    terms, _ = taught(student, distiller, pictures(student.graph))
    torch.stack(list(terms.values())).sum().backward()

    seen = teacher(pictures(student.graph), {"001_convolutional"})
    assert not any(part.requires_grad for part in (*seen.head_maps, *seen.maps.values()))
    assert all(torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items())
    assert source.training  # it works on a copy


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("size", [0.0, 300.0, 6e4])
def test_terms_are_finite_in_half_precision_with_extreme_values(precision: torch.dtype, size: float) -> None:
    graph = small(6)
    distiller = Distiller(graph, [_Shouting(graph, precision, size)], ALL, 0.2)
    generator = torch.Generator().manual_seed(1)
    head = (size * torch.randn(2, 2, 4, 4, 7, generator=generator)).to(precision).requires_grad_()
    maps = (size * torch.randn(2, 6, 4, 4, generator=generator)).to(precision).requires_grad_()

    terms = distiller(pictures(graph), TARGETS, [head], dict.fromkeys(distiller.probes, maps))
    torch.stack(list(terms.values())).sum().backward()

    assert all(value.dtype == torch.float32 and value.isfinite() for value in terms.values())
    assert not any(part.grad.isnan().any() for part in (head, maps))


class _Shouting:
    """A teacher whose values are as large as a type can hold."""

    name, shows_maps = "loud", True

    def __init__(self, graph: Graph, precision: torch.dtype, size: float) -> None:
        self.graph, self._precision, self._size = graph, precision, size

    def __call__(self, images: Tensor, nodes: Collection[str]) -> Seen:
        generator = torch.Generator().manual_seed(2)
        head = (self._size * torch.randn(2, 2, 4, 4, 7, generator=generator)).to(self._precision)
        maps = (self._size * torch.randn(2, 6, 4, 4, generator=generator)).to(self._precision)
        return Seen([head], dict.fromkeys(nodes, maps))


def test_several_teachers_count_by_their_mean() -> None:
    student = network(small(6), 0).eval()
    teachers = [NetworkTeacher(str(seed), network(small(8), seed)) for seed in (1, 2)]
    terms = weighted_terms("kd1", "mean", {}, 0.0)
    images = pictures(student.graph)

    alone = [taught(student, Distiller(student.graph, [one], terms, 0.2), images)[0] for one in teachers]
    both, _ = taught(student, Distiller(student.graph, teachers, terms, 0.2), images)

    values = [found["distill_outputs"] for found in alone]
    torch.testing.assert_close(both["distill_outputs"], (values[0] + values[1]) / 2)


def test_a_pruned_students_channels_are_compared_with_those_they_were() -> None:
    source = network(small(8), 0).eval()
    kept: Aligned = {"001_convolutional": ("001_convolutional", [0, 2, 3, 5, 6, 7])}
    terms = weighted_terms("masked", "mean", {}, 0.0)
    distiller = Distiller(small(6), [NetworkTeacher("dense", source)], terms, 0.2, [kept])
    (name, probe), images = next(iter(distiller.probes.items())), pictures(source.graph)
    seen = NetworkTeacher("dense", source)(images, {"001_convolutional"})

    same = seen.maps["001_convolutional"][:, kept["001_convolutional"][1]]
    terms_of_same = distiller(images, TARGETS, seen.head_maps, {name: same})

    assert list(probe.module.parameters()) == []
    assert float(terms_of_same["distill_near_features"]) == 0


def test_an_exported_file_teaches_with_its_heads() -> None:
    student, source = network(small(6), 0), network(small(8), 1).eval()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [head.numpy() for head in source(torch.from_numpy(batch))]

    file = FileTeacher("a.onnx", source.graph, run)
    terms = weighted_terms("kd3", "mean", {}, 0.0)
    images = pictures(student.graph)
    student.eval()

    found, _ = taught(student, Distiller(student.graph, [file], terms, 0.2), images)
    expected, _ = taught(student, Distiller(student.graph, [NetworkTeacher("a", source)], terms, 0.2), images)

    assert {name: float(value.detach()) for name, value in found.items()} == pytest.approx(
        {name: float(value.detach()) for name, value in expected.items()}, rel=1e-5
    )


@pytest.mark.parametrize(
    ("teacher", "method", "error", "message"),
    [
        (NetworkTeacher("t", Network(small(classes=3))), "kd1", DataError, "the student's 2 classes, found 3"),
        (NetworkTeacher("t", Network(small(size=64))), "kd1", RecipeError, "pictures of 3x32x32, .*found 3x64x64"),
        (FileTeacher("t.onnx", small(), lambda batch: []), "kd4", RecipeError, "t.onnx: attention compares inner maps"),
    ],
    ids=["classes", "size", "no maps"],
)
def test_a_teacher_that_does_not_fit_is_refused(
    teacher: Teacher, method: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Distiller(small(), [teacher], weighted_terms(method, "mean", {}, 0.0), 0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("auto", "originals", {}, 0.0), "scale originals: expected one of kd1, kd2, kd3, kd4, kd5, found method auto"),
        (("kd1", "mean", {"boxs": 1.0}, 0.0), "expected terms .*found boxs"),
        (("kd1", "mean", {"outputs": -1.0}, 0.0), "0 or more for outputs, found -1"),
        (("kd1", "mean", {"outputs": 0.0}, 0.0), "expected one above 0"),
        (("kd1", "mean", {}, -1.0), "temperature: expected 0 to 1000, found -1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        weighted_terms(*arguments)


def test_weights_replace_those_of_the_method_and_add_terms() -> None:
    terms = weighted_terms("kd3", "mean", {"scores": 0.0, "channels": 0.5}, 2.0)

    assert {name: weighted.weight for name, weighted in terms.items()} == {"boxes": 4.0, "channels": 0.5}
    assert terms["channels"].term.temperature == 2.0


def test_every_method_that_can_be_asked_for_is_there() -> None:
    assert set(METHODS) == set(get_args(Method))
    assert set(ORIGINALS) < set(METHODS)


def pruned_tiny() -> Graph:
    """YOLOv3-tiny with 15 % of its parameters."""
    whole = network(find("yolov3-tiny", size=(64, 64), width=0.5), 0)
    table = PruneTable(score="l1", target="params=0.15")
    return prune(whole, planned(whole, table)).network.graph


PAIRS = {
    "a residual network and a thin tiny one": (lambda: find("yolov3", size=(64, 64), width=0.25), pruned_tiny),
    "other backbones": (
        lambda: find("yolov4-tiny", size=(64, 64), width=0.5),
        lambda: find("yolov3-tiny", size=(64, 64), width=0.5),
    ),
    "the wide and the narrow form": (
        lambda: find("yolo-fastest-1.1-xl", size=(64, 64)),
        lambda: find("yolo-fastest-1.1", size=(64, 64)),
    ),
    "three heads and two": (
        lambda: find("yolov3-tiny-3l", size=(64, 64), width=0.5),
        lambda: find("yolov3-tiny", size=(64, 64), width=0.5),
    ),
    "other anchors": (
        lambda: find("yolov3-tiny-hand", classes=80, size=(64, 64), width=0.5),
        lambda: find("yolov3-tiny", size=(64, 64), width=0.5),
    ),
    "logistic outputs and logits": (
        lambda: find("yolov4-csp", size=(64, 64), width=0.25),
        lambda: find("yolov3-tiny", size=(64, 64), width=0.5),
    ),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_any_pair_of_networks_has_something_to_teach(pair: tuple) -> None:
    teacher, student = (make() for make in pair)
    learner = network(student, 0)
    distiller = Distiller(student, [NetworkTeacher("t", network(teacher, 1))], ALL, 0.2)

    terms, _ = taught(learner, distiller, pictures(student))
    torch.stack(list(terms.values())).sum().backward()

    silent = [name for name, value in terms.items() if float(value.detach()) <= 0]
    assert silent in ([], ["distill_truth_boxes"])  # a fresh teacher may be no better than the student
    gradients = [parameter.grad for parameter in learner.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
