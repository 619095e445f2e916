"""Pictures that show nearly the same, found by small grey copies of them.

Pictures are compared in three steps, each slower and surer than the one before:

1. Correlation of 16x16 copies, of all pairs at once, as a matrix product; also with one of them mirrored.
2. Of the best few of each picture, 32x32 copies with mean 0 and deviation 1 are laid on one another, and moved, turned
   and scaled a little until they fit best (ECC, Evangelidis & Psarakis, 2008).
3. They are nearly the same when they differ little *everywhere*, averaged over 3x3 cells. An object that has moved
   stands out there: pictures of one place by one camera are not yet the same.

So pictures are found that were compressed again, resized, made brighter or darker, blurred, mirrored, cropped by some
percent or turned by a few degrees; not those that were turned far, or had parts cut out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.data.pictures import Picture

Thumbnail = NDArray[np.uint8]
"""A picture in small: shape (32, 32), grey."""

SIDE, COARSE_SIDE = 32, 16
MIN_CORRELATION = 0.7  # of the coarse copies
CANDIDATES = 4  # of each picture that are looked at closely
MAX_DIFFERENCE = 0.4  # in deviations of the copy; in real data, differences of single objects begin near it
MIN_COVERED = 0.6  # share of one copy that the other must cover when it is laid on it
MIN_CONTRAST = 4.0  # deviation, in grey levels, below which a picture shows nothing
BLOCK_PAIRS = 1 << 23  # that are held at a time

ECC_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
ECC_BLUR = 1  # pixels

Copy = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Like:
    """A picture that shows nearly the same as an earlier one; both are indices."""

    picture: int
    earlier: int


def thumbnail(picture: Picture) -> Thumbnail:
    """Gives a picture in small, whatever its proportions."""
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def find_alike(
    thumbnails: Sequence[Thumbnail], groups: Sequence[int], progress: Callable[[int], None] | None = None
) -> list[Like]:
    """Gives, for every picture and every group, the likest earlier picture of that group, where one is nearly the same.

    Pictures of an even grey are like no other.

    Args:
        thumbnails: of the pictures, in their order.
        groups: the group of each picture, a number from 0.
        progress: called with the number of pictures done.
    """
    shown = np.array([index for index, small in enumerate(thumbnails) if small.std() >= MIN_CONTRAST], np.int64)
    if not len(shown):
        return []
    members = [np.flatnonzero(np.array(groups)[shown] == group) for group in range(max(groups) + 1)]
    found = []
    for row, correlations in _correlations([thumbnails[index] for index in shown]):
        for its in members:
            earlier = its[: np.searchsorted(its, row)]
            candidates = shown[earlier[_likeliest(correlations[earlier])]].tolist()
            picture = thumbnails[shown[row]]
            like = next((other for other in candidates if are_alike(picture, thumbnails[other])), None)
            if like is not None:
                found.append(Like(int(shown[row]), like))
        if progress is not None:
            progress(int(shown[row]) + 1)
    return found


def are_alike(first: Thumbnail, second: Thumbnail) -> bool:
    """Gives whether two pictures show nearly the same, as they are or mirrored."""
    ours = _normalized(first)
    for other in (second, np.ascontiguousarray(second[:, ::-1])):
        is_candidate = float(_coarse(first) @ _coarse(other)) >= MIN_CORRELATION
        if is_candidate and _difference(ours, _normalized(other)) <= MAX_DIFFERENCE:
            return True
    return False


def _correlations(thumbnails: Sequence[Thumbnail]) -> Iterator[tuple[int, Copy]]:
    """Gives (index, correlations with every picture up to it, as it is or mirrored) of each picture."""
    coarse = np.stack([_coarse(small) for small in thumbnails])
    mirrored = np.stack([_coarse(small[:, ::-1]) for small in thumbnails])
    step = max(1, BLOCK_PAIRS // len(coarse))
    for start in range(0, len(coarse), step):
        stop = min(start + step, len(coarse))
        block = np.maximum(coarse[start:stop] @ coarse[:stop].T, mirrored[start:stop] @ coarse[:stop].T)
        yield from zip(range(start, stop), block, strict=True)


def _likeliest(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Gives the indices of the few greatest values that are great enough, greatest first."""
    enough = np.flatnonzero(values >= MIN_CORRELATION)
    if len(enough) > CANDIDATES:
        enough = enough[np.argpartition(-values[enough], CANDIDATES)[:CANDIDATES]]
    return enough[np.argsort(-values[enough])]


def _coarse(small: Thumbnail) -> Copy:
    """Gives a picture as a vector of mean 0 and length 1, shape (256,)."""
    copy = _normalized(cv2.resize(small, (COARSE_SIDE, COARSE_SIDE), interpolation=cv2.INTER_AREA))
    return copy.reshape(-1) / np.float32(COARSE_SIDE)


def _normalized(small: NDArray[np.generic]) -> Copy:
    """Gives a copy of mean 0 and deviation 1, so that brightness and contrast do not count."""
    copy = small.astype(np.float32)
    copy -= copy.mean()
    return copy / max(float(copy.std()), 1e-3)


def _difference(first: Copy, second: Copy) -> float:
    """Gives the greatest difference of two copies anywhere, averaged over 3x3 cells, after laying one on the other."""
    as_they_are = _greatest(first - second)
    if as_they_are <= MAX_DIFFERENCE:
        return as_they_are
    start, everywhere = np.eye(2, 3, dtype=np.float32), np.ones((SIDE, SIDE), np.uint8)
    try:
        _, placement = cv2.findTransformECC(first, second, start, cv2.MOTION_AFFINE, ECC_STOP, everywhere, ECC_BLUR)
    except cv2.error:  # it found no placement: they have little in common
        return as_they_are
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = np.asarray(cv2.warpAffine(second, placement, (SIDE, SIDE), flags=flags), np.float32)
    covered = cv2.warpAffine(np.ones_like(second), placement, (SIDE, SIDE), flags=flags) > 0.99
    if covered.mean() < MIN_COVERED:
        return as_they_are
    left, right = _scaled(first, covered), _scaled(laid, covered)
    return min(as_they_are, _greatest(np.where(covered, left - right, 0)))


def _scaled(copy: Copy, where: NDArray[np.bool_]) -> Copy:
    return np.asarray((copy - copy[where].mean()) / max(float(copy[where].std()), 1e-3), np.float32)


def _greatest(difference: Copy) -> float:
    return float(np.abs(cv2.blur(difference, (3, 3))).max())
