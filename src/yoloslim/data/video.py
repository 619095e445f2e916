"""Video files: frames in, frames out, none lost unseen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from yoloslim.data.annotations import Problem
from yoloslim.data.opencv_messages import silence_opencv
from yoloslim.data.pictures import Picture
from yoloslim.errors import DataError
from yoloslim.files import write_atomically

ASSUMED_FPS = 25.0
MAX_FPS_DENOMINATOR = 65535  # of MPEG-4; OpenCV writes a rate of n decimals as (rate * 10**n) / 10**n


class VideoReader:
    """The frames of a video file, in order. Iterate once; then `problems` says whether its end was reached.

    Args:
        path: the file.

    Attributes:
        path: the file.
        fps: frames a second; 25 if the file does not say.
        width: of a frame, in pixels, as shown (rotation applied).
        height: of a frame, in pixels.
        num_frames: as the file announces it; 0 if it does not. Some containers only estimate it.
        problems: what is wrong with the file; complete after the last frame.

    Raises:
        DataError: the file is missing or is not a video that can be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(f"{path}: no such video")
        silence_opencv()
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise DataError(f"{path}: expected a video, found one that is cut off or damaged, or another kind of file")
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.num_frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.problems: list[Problem] = []
        self.fps = self._read_fps()

    def __iter__(self) -> Iterator[Picture]:
        num_read = 0
        while True:
            is_read, frame = self._capture.read()
            if not is_read:
                break
            num_read += 1
            yield np.asarray(frame, np.uint8)
        if num_read < max(self.num_frames, 1):
            counts = f"{self.num_frames} frames are announced, {num_read} could be read"
            cause = "the file is cut off or damaged, or its frame rate varies"
            self.problems.append(Problem(self.path, 0, f"{counts}: {cause}"))

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()

    def _read_fps(self) -> float:
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        if math.isfinite(fps) and fps > 0:
            return float(fps)
        self.problems.append(
            Problem(self.path, 0, f"states no frame rate: {ASSUMED_FPS:g} frames a second are assumed")
        )
        return ASSUMED_FPS


@contextmanager
def written_video(path: str | Path, fps: float) -> Iterator[VideoWriter]:
    """Gives a writer of frames to an ``.mp4`` that appears whole when the ``with`` block ends well, or not at all.

    Without any frame there is no file.

    Args:
        path: the file to write, ending in ``.mp4``.
        fps: frames a second, above 0.

    Raises:
        DataError: the name does not end in ``.mp4``, or the file does not hold every frame that was given.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise DataError(f"{path}: expected a video name ending in .mp4, found suffix {path.suffix!r}")
    with ExitStack() as place:
        writer = VideoWriter(path, fps, place)
        try:
            yield writer
        finally:
            writer.close()
        writer.check()


class VideoWriter:
    """Writes frames as MPEG-4 part 2; made by `written_video`.

    The first frame sets the size; an odd width or height loses its last column or row, as the codec needs even ones.

    Args:
        path: the file that is to appear.
        fps: frames a second.
        place: what moves the temporary file into place; entered with the first frame, so that no frame makes no file.

    Attributes:
        path: the file that is to appear.
        num_frames: frames written so far.
    """

    def __init__(self, path: Path, fps: float, place: ExitStack) -> None:
        self.path = path
        self.num_frames = 0
        self._fps = fps
        self._place = place
        self._temporary = path
        self._size = (0, 0)
        self._output: cv2.VideoWriter | None = None

    def write(self, frame: Picture) -> None:
        """Appends ``frame``, shape (H, W, 3), uint8, BGR.

        Raises:
            DataError: its size is not that of the first frame, or the codec refuses the video.
            OutputError: the file cannot be written.
        """
        size = (frame.shape[1], frame.shape[0])
        if self._output is None:
            self._size = size
            self._output = self._open(size)
        if size != self._size:  # OpenCV would drop it without a word
            found, expected = "x".join(map(str, size)), "x".join(map(str, self._size))
            raise DataError(f"{self.path}: frame {self.num_frames} is {found}, expected {expected} as the first one")
        self._output.write(frame)
        self.num_frames += 1

    def close(self) -> None:
        """Finishes the temporary file."""
        if self._output is not None:
            self._output.release()

    def check(self) -> None:
        """Raises DataError unless the finished file holds every frame."""
        if not self.num_frames:
            return
        with VideoReader(self._temporary) as written:
            if written.num_frames != self.num_frames:
                message = f"{self.num_frames} frames were given, {written.num_frames} were written: is the disk full?"
                raise DataError(f"{self.path}: {message}")

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        silence_opencv()
        self._temporary = self._place.enter_context(write_atomically(self.path))
        output = cv2.VideoWriter(str(self._temporary), cv2.VideoWriter.fourcc(*"mp4v"), _codec_fps(self._fps), size)
        if not output.isOpened():
            raise DataError(f"{self.path}: a video of {size[0]}x{size[1]} at {self._fps:g} frames a second is refused")
        return output


def _codec_fps(fps: float) -> float:
    """Gives ``fps`` with as many decimals as MPEG-4 has room for (VFR files may state rates as 90000)."""
    decimals = next((n for n in (3, 2, 1) if fps * 10**n <= MAX_FPS_DENOMINATOR), 0)
    return min(round(fps, decimals), MAX_FPS_DENOMINATOR)
