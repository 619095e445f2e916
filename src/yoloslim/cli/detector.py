"""The model and the detector that the user's options ask for."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from yoloslim.cli.session import Session

if TYPE_CHECKING:
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.boxes.placement import ResizeMode
    from yoloslim.cli.options import Backend
    from yoloslim.graph.graph import Graph
    from yoloslim.runtime.artefact import Artefact
    from yoloslim.runtime.detector import Detector
    from yoloslim.runtime.load import Model
    from yoloslim.weights.published import Published

WEIGHTS_SUFFIXES = (".weights", ".safetensors", ".pt", ".pth")


class Opened(NamedTuple):
    """A file that can detect, opened.

    Attributes:
        names: of the classes; empty where the file does not tell.
        provenance: where the network comes from; empty where the file does not tell.
    """

    detector: Detector
    names: tuple[str, ...]
    provenance: Mapping[str, Any]


def load_model(
    session: Session, weights: Path, cfg: str, *, trust: bool, cutoff: int | None = None, bn_eps: float = 1e-5
) -> Model:
    """Gives the model of the weights and tells its notes; layers that the file lacks start from the session's seed.

    Args:
        weights: a file, or the name of published weights: these are fetched, and bring their network and class names.
        trust: whether they may be taken where their hash is not known.
    """
    import torch

    from yoloslim.cli.inputs import optional_graph
    from yoloslim.cli.reports import tell_notes
    from yoloslim.runtime.load import load
    from yoloslim.weights.published import find_published

    torch.manual_seed(session.seed)
    published = find_published(weights)
    if published is not None:
        weights, cfg = fetched(session, published, trust=trust), cfg or published.network
    model = load(weights, optional_graph(cfg), cutoff=cutoff, bn_eps=bn_eps)
    tell_notes(model.notes)
    if published is not None and len(published.class_names) == model.graph.classes:
        return replace(model, names=published.class_names)
    return model


def fetch_named(session: Session, weights: str, *, trust: bool) -> None:
    """Fetches the published weights that a recipe starts from, so that its stages find them in the cache."""
    from yoloslim.weights.published import find_published

    published = find_published(weights) if weights else None
    if published is not None:
        fetched(session, published, trust=trust)


def fetched(session: Session, published: Published, *, trust: bool) -> Path:
    """Gives the file of published weights; shows how it comes."""
    from yoloslim.cli.progress import bytes_bar
    from yoloslim.downloads.remote import fetch

    with bytes_bar(session) as show:
        return fetch(published.remote, trust=trust, progress=partial(show, published.remote.name))


def fitted(model: Model, size: str = "", resize: ResizeMode | None = None) -> Model:
    """Gives the model for pictures of the size and fit that the user set; its cfg says so too.

    Raises:
        RecipeError: the network cannot work at that size.
    """
    from yoloslim.cli.inputs import sized

    resize = resize or model.resize
    network = copy.copy(model.network)  # shares its weights
    network.graph = with_resize(sized(model.graph, size), resize)
    return replace(model, network=network, resize=resize)


def with_resize(graph: Graph, resize: ResizeMode) -> Graph:
    """Gives the network whose ``[net]`` says that pictures are fitted this way."""
    from yoloslim.runtime.load import resize_of

    if resize_of(graph) == resize:
        return graph
    return replace(graph, section=graph.section.updated({"letter_box": str(int(resize == "letterbox"))}))


def open_detector(
    session: Session,
    weights: Path,
    cfg: str,
    size: str,
    resize: ResizeMode | None,
    settings: DetectSettings,
    *,
    trust: bool,
    backend: Backend | None = None,
) -> Opened:
    """Gives a detector of any file that can detect; for an exported file, torch is not loaded.

    Args:
        backend: what runs an exported file; the first that can when None.

    Raises:
        RecipeError: the network cannot work at that size, finds no boxes, or cannot run so.
    """
    from yoloslim.errors import RecipeError
    from yoloslim.runtime.artefact import is_artefact

    if is_artefact(weights):
        if cfg:
            raise RecipeError(f"--cfg {cfg}: {weights} brings its own network; leave --cfg out")
        artefact = usable_artefact(session, weights, size, backend)
        return Opened(artefact.detector(settings, resize), artefact.description.names, {})
    if backend not in (None, "integer"):
        raise RecipeError(f"--backend {backend}: {weights} is run by torch; leave --backend out, or export it first")
    model = fitted(load_model(session, weights, cfg, trust=trust), size, resize)
    detector = detector_of(session, model, settings)
    if backend == "integer":
        detector = in_whole_numbers(detector, model)
    return Opened(detector, model.names, model.provenance)


def in_whole_numbers(detector: Detector, model: Model) -> Detector:
    """Gives the detector that runs its model in whole numbers.

    Raises:
        TargetError: the model is not quantized for an FPGA.
    """
    from yoloslim.recipes.export_fpga import whole_numbers
    from yoloslim.runtime.integers import IntegerBackend

    return replace(detector, backend=IntegerBackend(whole_numbers(model)))


def detector_of(session: Session, model: Model, settings: DetectSettings) -> Detector:
    """Gives a detector that runs the model with torch on the user's device.

    Raises:
        RecipeError: the network has no heads, or reads something else than pictures.
    """
    from yoloslim.boxes.placement import check_channels
    from yoloslim.errors import RecipeError
    from yoloslim.runtime.detector import Detector
    from yoloslim.runtime.torch_backend import TorchBackend, choose_device

    shape = model.graph.input_shape
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    if not yolos:
        raise RecipeError("this network has no [yolo] layer, so it finds no boxes: use the cfg of a detector")
    check_channels(shape.channels)
    backend = TorchBackend(model.network, choose_device(session.device))
    size = (shape.width, shape.height)
    return Detector(backend, yolos, size, model.resize, settings, channels=shape.channels)


def usable_artefact(session: Session, path: Path, size: str, backend: Backend | None, threads: int = 0) -> Artefact:
    """Gives an exported file, opened, where it can run as the user's options say.

    Raises:
        RecipeError: it is for another size or device, or reads something else than pictures.
    """
    from yoloslim.boxes.placement import check_channels
    from yoloslim.cli.inputs import parse_size
    from yoloslim.errors import RecipeError
    from yoloslim.runtime.artefact import open_artefact

    if session.device not in ("auto", "cpu"):
        raise RecipeError(f"--device {session.device}: {path} runs on the CPU; use auto or cpu")
    artefact = open_artefact(path, backend=backend, threads=threads)
    own = artefact.description.size
    if parse_size(size) not in (None, own):
        raise RecipeError(f"--size {size}: {path} is for {own[0]}x{own[1]} alone; export it again with --size {size}")
    check_channels(artefact.description.graph.input_shape.channels)
    return artefact


def named_model(session: Session, name: str, *, trust: bool) -> Model:
    """Gives the model of a file of weights, with its cfg beside it where it brings none; any other name is a network's.

    That network, of a cfg or of the zoo, has fresh weights.
    """
    weights = Path(name)
    if weights.suffix in WEIGHTS_SUFFIXES:
        return load_model(session, weights, cfg_beside(weights), trust=trust)
    import torch

    from yoloslim.cli.inputs import graph_of
    from yoloslim.nn.network import Network
    from yoloslim.runtime.load import Model, resize_of

    torch.manual_seed(session.seed)
    graph = graph_of(name)
    return Model(Network(graph).eval(), resize=resize_of(graph))


def cfg_beside(weights: Path) -> str:
    """Gives the cfg of the same name beside a file of weights; empty for what brings its own network.

    Raises:
        WeightsError: there is none.
    """
    from yoloslim.errors import WeightsError

    cfg = weights.with_suffix(".cfg")
    if weights.suffix not in WEIGHTS_SUFFIXES or weights.suffix == ".safetensors":
        return ""
    if not cfg.is_file():
        raise WeightsError(
            f"{weights}: expected its cfg beside it, found no {cfg.name}; only a .safetensors needs none"
        )
    return str(cfg)
