"""Options of a conversion, each declared once: name, type, default, validation and help."""

from __future__ import annotations

import dataclasses

from keras_t3d.data.sources.options import SourceOptions
from keras_t3d.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True)
class ConversionOptions(SourceOptions):
    """Options of `convert` and `convert_with_beam`, in addition to SourceOptions.

    Args:
        short_side: pixels to which the short side of larger frames shrinks; at least the resize
            of the clip specs that will read the shards.
        jpeg_quality: JPEG quality of the frames, 1 to 100.
        max_seconds: length of the longest record. Longer videos are cut into several records.
        seed: seed of the order of videos in the shards.
        workers: number of decoding processes on this machine, by default one per core.
        time_limit: seconds without a new frame after which a video is rejected.
        max_rejects: abort if more than this number of videos are rejected.

    Raises:
        InvalidArgumentError: if a value is invalid.

    Example:

    ```python
    options = ConversionOptions(split_ratio="0.8", short_side=256)
    ```
    """

    short_side: int = 256
    jpeg_quality: int = 90
    max_seconds: float = 30.0
    seed: int = 0
    workers: int | None = None
    time_limit: float = 120.0
    max_rejects: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("short_side", self.short_side, self.short_side >= 16, "at least 16 pixels", "256")
        _check("jpeg_quality", self.jpeg_quality, 1 <= self.jpeg_quality <= 100, "1 to 100", "90")
        _check("max_seconds", self.max_seconds, self.max_seconds >= 1, "at least 1", "30")
        _check("time_limit", self.time_limit, self.time_limit >= 1, "at least 1 second", "120")
        if self.workers is not None:
            _check("workers", self.workers, self.workers >= 1, "at least 1", "2")
        if self.max_rejects is not None:
            _check("max_rejects", self.max_rejects, self.max_rejects >= 0, "at least 0", "10")


def _check(name: str, value: float, is_valid: bool, rule: str, example: str) -> None:
    if not is_valid:
        raise InvalidArgumentError(
            f"`{name}` must be {rule}, for example {example}. Received: {value}", argument=name
        )
