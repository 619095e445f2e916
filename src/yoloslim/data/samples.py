"""Something to look at where there are no pictures: scenes of handwritten digits, and a video that pans over one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from yoloslim.data.digits import write_digit_scenes
from yoloslim.data.pictures import read_picture
from yoloslim.data.video import written_video
from yoloslim.files import write_folder_atomically

SCENES = 4
SIZE = 416
FRAMES = 24
_VIEW = 320  # pixels a side of the video's frames


def write_samples(folder: Path) -> tuple[Path, ...]:
    """Writes scenes of digits and a short video into a new folder, and gives their paths, the video last.

    Raises:
        BackendMissing: scikit-learn, which brings the digits, is not installed.
        OutputError: the folder cannot be written, or holds files.
    """
    with tempfile.TemporaryDirectory() as name, write_folder_atomically(folder) as made:
        write_digit_scenes(Path(name) / "set", train=0, val=SCENES, size=SIZE)
        scenes = sorted((Path(name) / "set" / "images" / "val").iterdir())
        for scene in scenes:
            shutil.copyfile(scene, made / scene.name)
        _write_pan(made / "pan.mp4", scenes[0])
    return (*(folder / scene.name for scene in scenes), folder / "pan.mp4")


def _write_pan(path: Path, scene: Path) -> None:
    """Writes a video whose frames are cut from a picture, further and further to the lower right."""
    picture = read_picture(scene)
    with written_video(path, fps=12) as video:
        for number in range(FRAMES):
            start = number * (SIZE - _VIEW) // (FRAMES - 1)
            video.write(picture[start : start + _VIEW, start : start + _VIEW])
