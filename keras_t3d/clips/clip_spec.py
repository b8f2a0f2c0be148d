"""ClipSpec: the description of a clip that every model and artifact carries."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_t3d.errors import InvalidArgumentError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """Describes a clip: number, spacing and size of its frames, and their normalisation.

    Args:
        num_frames: frames per clip, at least 1.
        frame_stride: distance between consecutive frames of the clip, in frames of the video. By
            default 2; 1 with `fps`, the only one allowed then.
        resize: length of a frame's short side before cropping, in pixels.
        crop: side of the crop in pixels, or (height, width); no side longer than `resize`.
        mean: mean of R, G and B, in 0..1 units. The default is ImageNet's.
        std: standard deviation of R, G and B, in 0..1 units. The default is ImageNet's.
        fps: frames of the clip per second, whatever the video's rate; None takes every
            `frame_stride`-th frame.

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    clip_spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    clip_spec.input_shape  # (16, 112, 112, 3)
    ```
    """

    num_frames: int = 16
    frame_stride: int = None  # type: ignore[assignment]
    resize: int = 128
    crop: int | tuple[int, int] = 112
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.frame_stride is None:
            object.__setattr__(self, "frame_stride", 2 if self.fps is None else 1)
        for name in ("num_frames", "frame_stride", "resize"):
            value = getattr(self, name)
            if not _is_integer(value) or value < 1:
                raise InvalidArgumentError(
                    f"ClipSpec: `{name}` must be an integer of at least 1, "
                    f"for example {name}={_default(name) or 2}. Received: {value!r}",
                    argument=name,
                )
            object.__setattr__(self, name, int(value))
        if self.fps is not None:
            check_fps("fps", self.fps)
            if self.frame_stride != 1:
                raise InvalidArgumentError(
                    "ClipSpec: `frame_stride` must be 1 or left out with `fps`, which spaces the "
                    f"frames itself. Received: frame_stride={self.frame_stride}, fps={self.fps}",
                    argument="frame_stride",
                )
        object.__setattr__(self, "crop", _checked_crop(self.crop, self.resize))
        for name in ("mean", "std"):
            object.__setattr__(self, name, _checked_channels(name, getattr(self, name)))

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the crop, in pixels."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape of one clip: (frames, height, width, 3)."""
        return (self.num_frames, *self.crop_size, 3)

    @property
    def span(self) -> int:
        """Number of frames from the clip's first frame to its last, inclusive.

        They are frames of the video or, with `fps`, of the video at that rate.
        """
        return (self.num_frames - 1) * self.frame_stride + 1

    def get_config(self) -> dict[str, Any]:
        """Returns the fields as plain JSON values; `from_config` reads them back."""
        config = dataclasses.asdict(self)
        for name in ("crop", "mean", "std"):
            if isinstance(config[name], tuple):
                config[name] = list(config[name])
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ClipSpec:
        """Returns the ClipSpec that `get_config` described."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(config) - known)
        if unknown:
            raise InvalidArgumentError(
                f"ClipSpec: unknown fields {unknown}. The fields are {sorted(known)}. "
                f"Received: {config!r}",
                argument="clip_spec",
            )
        return cls(**config)

    @classmethod
    def for_input_shape(cls, input_shape: Sequence[int]) -> ClipSpec:
        """Returns the default ClipSpec of a model with this input shape.

        Args:
            input_shape: (frames, height, width, 3).

        Returns:
            A ClipSpec whose `resize` is 8/7 of the longer side of the crop: 128 for 112,
            256 for 224.
        """
        frames, height, width, _ = input_shape
        crop = (height, width) if height != width else height
        return cls(num_frames=frames, resize=round(max(height, width) * 8 / 7), crop=crop)


def check_fps(name: str, value: Any) -> None:
    """Raises an InvalidArgumentError unless a value is a frame rate."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):
        raise InvalidArgumentError(
            f"`{name}` must be a frame rate above 0, for example 12.5, or None. "
            f"Received: {value!r}",
            argument=name,
        )


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _default(name: str) -> Any:
    return next(field.default for field in dataclasses.fields(ClipSpec) if field.name == name)


def _checked_crop(crop: Any, resize: int) -> int | tuple[int, int]:
    sides = (crop,) if _is_integer(crop) else crop
    if (
        not isinstance(sides, (tuple, list))
        or len(sides) not in (1, 2)
        or not all(_is_integer(side) and side >= 1 for side in sides)
    ):
        raise InvalidArgumentError(
            "ClipSpec: `crop` must be an integer, in pixels, or a pair (height, width), "
            f"for example crop=112. Received: {crop!r}",
            argument="crop",
        )
    if max(sides) > resize:
        raise InvalidArgumentError(
            "ClipSpec: `crop` must not be larger than `resize`, the short side of a frame, "
            f"for example resize=128, crop=112. Received: resize={resize}, crop={crop!r}",
            argument="crop",
        )
    height, width = int(sides[0]), int(sides[-1])
    return height if height == width else (height, width)


def _checked_channels(name: str, values: Any) -> tuple[float, float, float]:
    try:
        channels = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        channels = ()
    lowest_allowed = all(value > 0 for value in channels) if name == "std" else True
    # The most common mistake is a mean in 0..255 units, such as 114.
    if len(channels) != 3 or max(map(abs, channels), default=2.0) > 1 or not lowest_allowed:
        raise InvalidArgumentError(
            f"ClipSpec: `{name}` must be three numbers (R, G, B) in 0..1 units"
            f"{', above 0' if name == 'std' else ''}, for example {name}={_default(name)}. "
            f"Received: {values!r}",
            argument=name,
        )
    return channels


# Where a clip starts, and which frames it takes.
