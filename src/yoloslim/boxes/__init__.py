"""Boxes: how pictures enter a network and how head maps become detections."""
