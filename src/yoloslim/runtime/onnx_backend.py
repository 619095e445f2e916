"""Head maps by onnxruntime, without torch or the onnx package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import BackendMissing, WeightsError
from yoloslim.runtime.exported import check_batch, check_file

_ONLY_ERRORS = 3  # onnxruntime's warnings are about its own choices


class OnnxBackend:
    """Runs an ONNX file on the CPU: one input of a fixed size with a free batch, outputs in the order of the file.

    Args:
        threads: of one operator; 0 for as many as there are cores.

    Attributes:
        metadata: of the file, text by key.
        input_shape: (channels, height, width).
        outputs: names and shapes without the batch, in the order of the file.

    Raises:
        BackendMissing: onnxruntime is not installed.
        WeightsError: the file cannot be read, or is damaged or of another kind.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self._path = path
        self._session = _open(path, threads)
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise WeightsError(f"{path}: expected one input (batch, channels, height, width); export it again")
        self._input = inputs[0].name
        self.input_shape: tuple[int, ...] = tuple(inputs[0].shape[1:])
        self.outputs: Mapping[str, tuple[int, ...]] = {o.name: tuple(o.shape[1:]) for o in self._session.get_outputs()}

    def __call__(self, batch: NDArray[np.float32], /) -> list[NDArray[np.float32]]:
        """Gives one head map a head, (B, anchors, h, w, 5 + classes), for a batch (B, C, H, W), RGB in 0..1.

        Raises:
            RecipeError: the pictures are of another size than the file's.
        """
        check_batch(batch, self.input_shape, self._path)
        found_maps: list[NDArray[np.float32]] = self._session.run(list(self.outputs), {self._input: batch})
        return found_maps


def _open(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise BackendMissing("onnx", "running an .onnx file") from error
    check_file(path, "an ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ONLY_ERRORS
    refusals = tuple(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except refusals as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path}: onnxruntime cannot read this file ({reason}); copy or export it again") from error
