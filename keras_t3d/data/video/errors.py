"""The error of a video that cannot be decoded, and the warning of one that decodes in part."""

from __future__ import annotations

from keras_t3d.errors import KerasT3DError, KerasT3DWarning


class VideoError(KerasT3DError, ValueError):
    """No frame of a video can be decoded; the message states why."""


class DamagedVideoWarning(KerasT3DWarning):
    """A part of a video does not decode; the message states what is left out."""
