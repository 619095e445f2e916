"""Make YOLO detectors described by Darknet cfg files small, exactly and with proof."""

__version__ = "0.1.0"
