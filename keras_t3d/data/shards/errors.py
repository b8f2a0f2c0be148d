"""The errors of shards that cannot be read."""

from __future__ import annotations

from keras_t3d.errors import KerasT3DError


class ShardError(KerasT3DError, ValueError):
    """Shards are missing, incomplete or damaged; the message states where."""


class RecordError(ShardError):
    """A record cannot be read; the message names file and byte."""
