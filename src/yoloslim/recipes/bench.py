"""How long detectors take for a picture, measured in turn, so that what else the machine does falls on all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yoloslim.data.pictures import Picture
from yoloslim.graph.graph import Graph
from yoloslim.runtime.detector import Detector, Stopwatch

WARM_UP = 3
"""Rounds that are not counted."""

_NOISE_PX = 640, 480


@dataclass(frozen=True, slots=True)
class Contestant:
    """A detector and what is known about it.

    Attributes:
        artefact: its file or name, as the user wrote it.
        backend: what runs it.
        graph: of its network.
        quantized: whether it computes on integers, as far as its file tells.
    """

    artefact: str
    backend: str
    detector: Detector
    graph: Graph
    quantized: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one batch of pictures, milliseconds.

    Attributes:
        p50_ms: median of all from the pictures to the boxes.
        p95_ms: what 95 % of the rounds stay below.
        pre_ms: median of bringing pictures to size.
        infer_ms: median of the network alone.
        post_ms: median of decoding and suppression.
    """

    p50_ms: float
    p95_ms: float
    pre_ms: float
    infer_ms: float
    post_ms: float


def measure_in_turn(
    contestants: Sequence[Contestant],
    pictures: Sequence[Picture],
    rounds: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Latency]:
    """Gives the latencies of each contestant on a batch of pictures.

    Each round lets all of them run, one after the other. A turn begins with a call that is not counted: it finds its
    own weights in the caches, and the threads of the one before have gone to sleep.

    Args:
        progress: called with the number of rounds done.
    """
    times = np.empty((rounds, len(contestants), 3))  # seconds for pre, infer, post
    for number in range(-WARM_UP, rounds):
        for index, contestant in enumerate(contestants):
            contestant.detector(pictures)
            took = _timed(contestant.detector, pictures)
            if number >= 0:
                times[number, index] = took
        progress(max(0, number + 1))
    return [_latency(1000 * times[:, index]) for index in range(len(contestants))]


def _timed(detector: Detector, pictures: Sequence[Picture]) -> tuple[float, float, float]:
    watch = Stopwatch()
    replace(detector, stopwatch=watch)(pictures)
    return watch.pre, watch.infer, watch.post


def _latency(ms: NDArray[np.float64]) -> Latency:
    p50, p95 = np.percentile(ms.sum(axis=1), (50, 95))
    return Latency(float(p50), float(p95), *np.median(ms, axis=0).tolist())


def slow_integers(contestants: Sequence[Contestant], latencies: Sequence[Latency]) -> list[str]:
    """Gives a sentence for each quantized network that is not faster than the same layers in float by its backend."""
    found = []
    rows = list(zip(contestants, latencies, strict=True))
    for ours, took in rows:
        floats = [t.infer_ms for c, t in rows if not c.quantized and c.backend == ours.backend and _same(c, ours)]
        if ours.quantized and floats and took.infer_ms >= min(floats):
            text = f"is quantized and takes {took.infer_ms:.1f} ms, in float {min(floats):.1f} ms"
            found.append(f"{ours.artefact} by {ours.backend} {text}: this machine gains nothing by integers there")
    return found


def _same(a: Contestant, b: Contestant) -> bool:
    return [node.op for node in a.graph] == [node.op for node in b.graph] and a.detector.size == b.detector.size


def noise_picture(seed: int) -> Picture:
    """Gives a picture of noise, shape (480, 640, 3)."""
    width, height = _NOISE_PX
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
