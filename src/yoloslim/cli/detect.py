"""``yoloslim detect``: boxes in pictures and videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yoloslim.cli.options import CfgOrEmpty, Clip, Iou, ResizeOption, Size, Weights
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yoloslim.boxes.detections import Detections
    from yoloslim.data.annotations import Problem
    from yoloslim.runtime.detector import Detector

    Picture = NDArray[np.uint8]


def detect(
    session: Session,
    weights: Weights,
    source: Annotated[str, typer.Option(help="A picture, video, folder, 'pattern*.jpg', or a .txt list of them.")],
    cfg: CfgOrEmpty = "",
    size: Size = "",
    resize: ResizeOption = None,
    conf: Annotated[float, typer.Option(help="Smallest score that is shown.")] = 0.25,
    iou: Iou = 0.45,
    names: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for pictures and videos with boxes.")] = Path(
        "runs/detect"
    ),
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write pictures and videos with boxes.")] = True,
    clip: Clip = False,
) -> Result:
    """Find objects in pictures and videos, and draw them."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import detector_of, load_model
    from yoloslim.cli.reports import plain_problems, tell_problems
    from yoloslim.data.sources import find_sources

    settings = DetectSettings(conf, iou, clip=clip)
    sources = find_sources(source)
    model = load_model(weights, cfg, size, resize)
    labels = class_names(names, model.names, model.graph.classes)
    run = _Run(session, detector_of(session, model, settings), labels, out if save else None)
    images = [record for path in sources.pictures if (record := run.picture(path))]
    videos = [record for path in sources.videos if (record := run.video(path))]
    tell_problems(run.problems)
    run.finish(len(images) + len(videos))
    return {"images": images, "videos": videos, "problems": plain_problems(run.problems)}


def class_names(file: Path | None, known: Sequence[str], classes: int) -> tuple[str, ...]:
    """Gives one name a class: from a file, else those of the model, else ``class 0`` and so on.

    Raises:
        RecipeError: the file has another number of names.
    """
    from yoloslim.cfg.names import read_names
    from yoloslim.errors import RecipeError

    names = tuple(known) if file is None else read_names(file)
    if file is not None and len(names) != classes:
        raise RecipeError(f"{file} has {len(names)} names, the network {classes} classes")
    return names or tuple(f"class {index}" for index in range(classes))


class _Run:
    """One call of the command: what it detects with, where it writes, what went wrong."""

    def __init__(self, session: Session, detector: Detector, names: tuple[str, ...], out: Path | None) -> None:
        self.problems: list[Problem] = []
        self._session = session
        self._detector = detector
        self._names = names
        self._out = out

    def picture(self, path: Path) -> dict[str, Any] | None:
        """Gives the record of one picture, None where it cannot be read."""
        from yoloslim.data.annotations import Problem
        from yoloslim.data.pictures import read_picture, write_picture
        from yoloslim.errors import DataError

        try:
            picture = read_picture(path)
        except DataError as error:
            self.problems.append(Problem(path, 0, str(error).removeprefix(f"{path}: ")))
            return None
        found = self._detector([picture])[0]
        if self._out is not None:
            write_picture(self._out / path.name, self._drawn(picture, found))
        self._session.print(f"{path}: {self._counts(found)}")
        height, width = picture.shape[:2]
        return {"path": str(path), "width": width, "height": height, "detections": self._records(found)}

    def video(self, path: Path) -> dict[str, Any] | None:
        """Gives the record of one video, None where it cannot be opened."""
        from yoloslim.cli.progress import progress_bar
        from yoloslim.data.annotations import Problem
        from yoloslim.data.video import VideoReader
        from yoloslim.errors import DataError

        try:
            reader = VideoReader(path)
        except DataError as error:
            self.problems.append(Problem(path, 0, str(error).removeprefix(f"{path}: ")))
            return None
        with reader, progress_bar(self._session, path.name, reader.num_frames or None) as progress:
            frames = self._frames(reader, progress)
        self.problems.extend(reader.problems)
        self._session.print(f"{path}: {len(frames)} frames, {sum(map(len, frames))} boxes")
        return {"path": str(path), "width": reader.width, "height": reader.height, "fps": reader.fps, "frames": frames}

    def finish(self, done: int) -> None:
        """Says where the results lie.

        Raises:
            DataError: nothing could be read.
        """
        from yoloslim.errors import DataError

        if not done:
            raise DataError(f"nothing could be read; the first problem: {self.problems[0]}")
        if self._out is not None:
            self._session.print(f"with boxes: {self._out}")

    def _frames(self, reader: Any, progress: Callable[[int], None]) -> list[list[dict[str, Any]]]:
        from contextlib import nullcontext

        from yoloslim.data.video import written_video

        target = None if self._out is None else self._out / f"{reader.path.stem}.mp4"
        records = []
        with nullcontext() if target is None else written_video(target, reader.fps) as writer:
            for number, frame in enumerate(reader, start=1):
                found = self._detector([frame])[0]
                if writer is not None:
                    writer.write(self._drawn(frame, found))
                records.append(self._records(found))
                progress(number)
        return records

    def _drawn(self, picture: Picture, found: Detections) -> Picture:
        from yoloslim.report.drawing import draw

        return draw(picture, found, self._names)

    def _counts(self, found: Detections) -> str:
        ids = found.class_ids.tolist()
        counts = [f"{ids.count(class_id)} {self._names[class_id]}" for class_id in dict.fromkeys(ids)]
        return ", ".join(counts) or "nothing found"

    def _records(self, found: Detections) -> list[dict[str, Any]]:
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True)
        return [
            {"box": box, "score": score, "class_id": class_id, "class_name": self._names[class_id]}
            for box, score, class_id in rows
        ]
