"""Keeps OpenCV and its FFmpeg from writing on stderr: what they would say reaches the user as one of our lines."""

from __future__ import annotations

import functools
import os

import cv2

FFMPEG_QUIET = "-8"  # AV_LOG_QUIET; FFmpeg's level is read once, when OpenCV opens its first video


@functools.cache
def silence_opencv() -> None:
    """Turns OpenCV's log off, once a process, unless ``OPENCV_LOG_LEVEL`` or ``OPENCV_FFMPEG_LOGLEVEL`` is set.

    What libjpeg writes itself ("Corrupt JPEG data: ...", damage in the middle of a file) cannot be turned off.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_QUIET)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
