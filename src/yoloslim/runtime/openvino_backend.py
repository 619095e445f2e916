"""Head maps by OpenVINO, without torch or the onnx package."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import BackendMissing, WeightsError
from yoloslim.runtime.exported import check_batch, check_file

_METADATA = "framework"
"""Where OpenVINO keeps the metadata of the ONNX file that a network was read from, also in its own files."""

_TELEMETRY = "openvino_telemetry"


class OpenVinoBackend:
    """Runs an OpenVINO file (``.xml`` with its ``.bin`` beside it) or an ONNX file on the CPU, in float32.

    OpenVINO by itself computes in bfloat16 where the processor can, which moves head maps by about a hundredth.

    Args:
        threads: of one picture; 0 for as many as OpenVINO likes.

    Attributes:
        metadata: of the file, text by key.
        input_shape: (channels, height, width).
        outputs: names and shapes without the batch, in the order of the file.

    Raises:
        BackendMissing: openvino is not installed.
        WeightsError: the file cannot be read, or is damaged or of another kind.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self._path = path
        package = openvino_package(f"running {path.name} with OpenVINO")
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        with _told(path):
            model = read_network(path)
            compiled = package.Core().compile_model(model, "CPU", options)
        if len(model.inputs) != 1 or len(model.inputs[0].partial_shape) != 4:
            raise WeightsError(f"{path}: expected one input (batch, channels, height, width); export it again")
        self.metadata: Mapping[str, str] = _metadata(model)
        self.input_shape: tuple[int, ...] = _without_batch(model.inputs[0])
        self.outputs: Mapping[str, tuple[int, ...]] = {o.get_any_name(): _without_batch(o) for o in model.outputs}
        self._request = compiled.create_infer_request()

    def __call__(self, batch: NDArray[np.float32], /) -> list[NDArray[np.float32]]:
        """Gives one head map a head, (B, anchors, h, w, 5 + classes), for a batch (B, C, H, W), RGB in 0..1.

        Raises:
            RecipeError: the pictures are of another size than the file's.
        """
        check_batch(batch, self.input_shape, self._path)
        found = self._request.infer([batch])
        return [found[index] for index in range(len(self.outputs))]


def read_network(path: Path) -> Any:
    """Gives OpenVINO's form of a network, from one of its own files or an ONNX file.

    Its frontends are asked by name: to find one, OpenVINO tries them all, and some write on stderr what they miss.

    Raises:
        BackendMissing: openvino is not installed.
        WeightsError: there is no such file, or it is damaged or of another kind.
    """
    package = openvino_package(f"reading {path.name}")
    kind, described = ("onnx", "an ONNX file") if path.suffix.lower() == ".onnx" else ("ir", "an OpenVINO file")
    check_file(path, described)
    with _told(path):
        frontend = package.frontend.FrontEndManager().load_by_framework(kind)
        return frontend.convert(frontend.load(str(path)))


def openvino_package(purpose: str) -> Any:
    """Gives the openvino package, imported so that it does not report its use to its makers.

    Importing it sends an event to Google Analytics wherever its telemetry package can be imported.

    Args:
        purpose: what needs it, for the message.

    Raises:
        BackendMissing: it is not installed.
    """
    try:
        with _not_importable(_TELEMETRY):
            import openvino
    except ImportError as error:
        raise BackendMissing("openvino", purpose) from error
    return openvino


@contextmanager
def _not_importable(name: str) -> Iterator[None]:
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to forbid an import
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what OpenVINO raises into our error; the last line of its text is the reason."""
    from openvino import frontend

    kinds = (kind for kind in vars(frontend).values() if isinstance(kind, type) and issubclass(kind, Exception))
    failures: tuple[type[Exception], ...] = (RuntimeError, *kinds)
    try:
        yield
    except failures as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(f"{path}: OpenVINO cannot read this file ({reason}); copy or export it again") from error


def _metadata(model: Any) -> dict[str, str]:
    if not model.has_rt_info([_METADATA]):
        return {}
    return {key: str(text) for key, text in model.get_rt_info([_METADATA]).value.items()}


def _without_batch(port: Any) -> tuple[int, ...]:
    return tuple(-1 if side.is_dynamic else side.get_length() for side in list(port.partial_shape)[1:])
