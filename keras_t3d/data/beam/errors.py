"""The error of a pipeline that fails."""

from __future__ import annotations

from keras_t3d.errors import KerasT3DError


class BeamError(KerasT3DError, RuntimeError):
    """A pipeline of Apache Beam failed, or its workers cannot do what it asks."""
