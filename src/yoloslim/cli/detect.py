"""``yoloslim detect``: boxes in pictures and videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yoloslim.cli.options import (
    BackendOption,
    Cfg,
    Clip,
    Conf,
    Iou,
    Names,
    OutFolder,
    ResizeOption,
    Size,
    Trust,
    WeightsOrArtefact,
)
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yoloslim.boxes.detections import Detections
    from yoloslim.cli.outputs import DrawnFiles
    from yoloslim.data.annotations import Problem
    from yoloslim.data.video import VideoReader
    from yoloslim.runtime.detector import Detector

    Picture = NDArray[np.uint8]

Record = dict[str, Any]


def detect(
    session: Session,
    weights: WeightsOrArtefact,
    source: Annotated[
        str,
        typer.Option(metavar="PATH", help="A picture, video, folder, 'pattern*.jpg', or a .txt that lists them."),
    ],
    cfg: Cfg = "",
    trust: Trust = False,
    backend: BackendOption = None,
    size: Size = "",
    resize: ResizeOption = None,
    conf: Conf = 0.25,
    iou: Iou = 0.45,
    names: Names = None,
    out: OutFolder = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write pictures and videos with boxes.")] = True,
    clip: Clip = False,
    only: Annotated[str, typer.Option(metavar="ID,ID", help="Classes to find; default: all.")] = "",
    agnostic: Annotated[bool, typer.Option("--agnostic", help="Classes compete: the lesser of any two goes.")] = False,
) -> Result:
    """Find objects in pictures and videos."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import open_detector
    from yoloslim.cli.inputs import class_names
    from yoloslim.cli.outputs import DrawnFiles, output_folder
    from yoloslim.cli.reports import tell_problems
    from yoloslim.data.sources import find_sources

    sources = find_sources(source)
    every = (*sources.pictures, *sources.videos)
    drawn = DrawnFiles(output_folder(out, "detect", Path(source).stem), every) if save else None
    settings = DetectSettings(conf, iou, clip=clip, classes=_class_ids(only), agnostic=agnostic)
    detector, known, _ = open_detector(session, weights, cfg, size, resize, settings, trust=trust, backend=backend)
    _check_classes(settings.classes, detector.yolos[0].classes)
    run = _Run(session, detector, class_names(names, known, detector.yolos[0].classes), drawn)
    run.take(sources.pictures, run.picture)
    run.take(sources.videos, run.video)
    run.check(len(every))
    told = tell_problems(run.problems)
    run.finish()
    return {"images": run.images, "videos": run.videos, "problems": told}


def _class_ids(text: str) -> tuple[int, ...]:
    from yoloslim.errors import RecipeError

    words = [word.strip() for word in text.split(",") if text]
    if not all(word.isdecimal() for word in words):
        raise RecipeError(f"--only {text}: expected class ids such as 0,2")
    return tuple(map(int, words))


def _check_classes(ids: Sequence[int], count: int) -> None:
    from yoloslim.errors import RecipeError

    unknown = [index for index in ids if index >= count]
    if unknown:
        raise RecipeError(f"--only {unknown[0]}: expected class ids from 0 to {count - 1}")


class _Run:
    """One call of the command: what it detects with, what it found, what went wrong."""

    def __init__(self, session: Session, detector: Detector, names: Sequence[str], drawn: DrawnFiles | None) -> None:
        self.images: list[Record] = []
        self.videos: list[Record] = []
        self.problems: list[Problem] = []
        self._session = session
        self._detector = detector
        self._names = names or tuple(f"class {index}" for index in range(detector.yolos[0].classes))
        self._has_names = bool(names)
        self._drawn = drawn
        self._failed = 0

    def take(self, paths: Sequence[Path], work: Callable[[Path], None]) -> None:
        """Does the work on each file; one that cannot be read becomes a problem, and the next has its turn."""
        from yoloslim.data.annotations import Problem
        from yoloslim.errors import DataError

        for path in paths:
            try:
                work(path)
            except DataError as error:
                self._failed += 1
                self.problems.append(Problem(path, 0, str(error).removeprefix(f"{path}: ")))

    def picture(self, path: Path) -> None:
        """Detects in one picture."""
        from yoloslim.data.pictures import read_picture, write_picture

        picture = read_picture(path)
        found = self._detector([picture])[0]
        record = self._record(path, picture, found)
        if self._drawn is not None:
            target = self._drawn.picture(path)
            write_picture(target, self._draw(picture, found))
            record["saved"] = str(target)
        self.images.append(record)
        self._session.print(f"{path}: {self._counts(found)}")

    def video(self, path: Path) -> None:
        """Detects in every frame of one video."""
        from yoloslim.cli.progress import progress_bar
        from yoloslim.data.video import VideoReader

        target = None if self._drawn is None else self._drawn.video(path)
        with VideoReader(path) as reader, progress_bar(self._session, path.name, reader.num_frames or None) as progress:
            frames = []
            for frame in self._frames(reader, target):
                frames.append(frame)
                progress(len(frames))
        self.problems.extend(reader.problems)
        self.images.extend(frames)
        record: Record = {"path": str(path), "width": reader.width, "height": reader.height, "fps": reader.fps}
        saved = {"saved": str(target)} if target and frames else {}
        self.videos.append({**record, "frames": len(frames), **saved})
        self._session.print(f"{path}: {len(frames)} frames, {sum(len(f['detections']) for f in frames)} boxes")

    def check(self, count: int) -> None:
        """Raises DataError where none of ``count`` files could be read."""
        from yoloslim.errors import DataError

        if self._failed == count:
            nothing = "nothing could be read" if count == 1 else f"none of {count} files could be read, the first"
            raise DataError(f"{nothing}: {self.problems[0]}")

    def finish(self) -> None:
        """Says what else the user should know, and where the results lie."""
        if not self._has_names:
            self._session.print("the class names are not known: --names FILE tells them")
        if self._drawn is not None:
            self._session.print(f"with boxes: {self._drawn.folder}")

    def _frames(self, reader: VideoReader, target: Path | None) -> Iterator[Record]:
        from contextlib import ExitStack

        from yoloslim.data.video import written_video

        with ExitStack() as stack:
            writer = None if target is None else stack.enter_context(written_video(target, reader.fps))
            for number, frame in enumerate(reader):
                found = self._detector([frame])[0]
                if writer is not None:
                    writer.write(self._draw(frame, found))
                yield {**self._record(reader.path, frame, found), "frame": number}

    def _draw(self, picture: Picture, found: Detections) -> Picture:
        from yoloslim.report.drawing import draw

        return draw(picture, found, self._names)

    def _counts(self, found: Detections) -> str:
        ids = found.class_ids.tolist()
        counts = [f"{ids.count(class_id)} {self._names[class_id]}" for class_id in dict.fromkeys(ids)]
        return ", ".join(counts) or "nothing found"

    def _record(self, path: Path, picture: Picture, found: Detections) -> Record:
        height, width = picture.shape[:2]
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True)
        detections = [
            {"box": box, "score": score, "class_id": class_id, "class_name": self._names[class_id]}
            for box, score, class_id in rows
        ]
        return {"path": str(path), "width": width, "height": height, "detections": detections}
