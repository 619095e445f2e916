"""A network as OpenVINO's own pair of files: the ``.xml``, which holds its metadata too, and the ``.bin`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from yoloslim.errors import OutputError
from yoloslim.files import write_atomically

WEIGHTS_SUFFIX = ".bin"

WeightBits = Literal[16, 32]


def save_openvino(network: Any, path: Path, *, weight_bits: WeightBits = 32) -> None:
    """Writes a network in OpenVINO's form as ``path``, an .xml, with its weights beside it.

    Args:
        network: an ``openvino.Model``, as ``runtime.openvino_backend.read_network`` gives it.
        weight_bits: of the floats in the .bin; 16 halves it and rounds them, to be computed with in float32 again.

    Raises:
        OutputError: a file cannot be written.
    """
    from openvino import save_model  # there already: it made the network

    with write_atomically(path) as graph_file, write_atomically(path.with_suffix(WEIGHTS_SUFFIX)) as weights_file:
        beside = graph_file.with_suffix(WEIGHTS_SUFFIX)
        try:
            save_model(network, graph_file, compress_to_fp16=weight_bits == 16)
            beside.replace(weights_file)
        except RuntimeError as error:
            raise OutputError(f"{path}: OpenVINO cannot write this file: {str(error).splitlines()[-1]}") from error
        finally:
            beside.unlink(missing_ok=True)
        path.unlink(missing_ok=True)  # stopped between the two, there is no network rather than one of mixed files
