"""Options of a probe, each declared once."""

from __future__ import annotations

import dataclasses

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import check_integer


@dataclasses.dataclass(frozen=True)
class ProbeOptions:
    """Options of a probe.

    Args:
        network: one of `keras_t3d.models.list_models()` with published weights
        weights: name of the network's published weights
        num_frames: frames per clip
        frame_stride: distance between consecutive frames of the clip, in frames of the video
        size: height and width of the clips, in pixels
        batch_size: clips per prediction

    Raises:
        InvalidArgumentError: if a number is below 1.

    Example:

    ```python
    ProbeOptions(size=160)
    ```
    """

    network: str = "t3d_lite0"
    weights: str = "imagenet"
    num_frames: int = 16
    frame_stride: int = 2
    size: int = 224
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("num_frames", "frame_stride", "size", "batch_size"):
            check_integer(name, getattr(self, name), 1, getattr(ProbeOptions, name))

    def clip_spec(self) -> ClipSpec:
        """Returns the clips that the probe reads: their whole height, without a margin."""
        return ClipSpec(self.num_frames, self.frame_stride, resize=self.size, crop=self.size)
