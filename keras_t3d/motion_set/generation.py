"""Generates the videos of the motion set: eight classes that differ in motion alone.

One object moves over clutter. Its position, angle and size are uniformly distributed at every
instant, whatever the class; the class determines only which of them changes, and in which
direction. A single frame therefore carries no information about the class, and frames in random
order do not separate a motion from its opposite, which is the same video played backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.errors import InvalidArgumentError, check_integer
from keras_t3d.motion_set import rendering

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("move_left", "move_right"),
    ("move_up", "move_down"),
    ("rotate_clockwise", "rotate_counterclockwise"),
    ("grow", "shrink"),
)
MOTION_CLASSES: tuple[str, ...] = tuple(name for pair in OPPOSITES for name in pair)

# Slowest and fastest change per frame, in frame widths, turns, and cycles from small to large.
_SPEEDS = {
    "x": (0.02, 0.045),
    "y": (0.02, 0.045),
    "angle": (1 / 50, 1 / 22),
    "size": (1 / 22, 1 / 12),
}
_DRIVEN = {
    "move_left": ("x", -1),
    "move_right": ("x", 1),
    "move_up": ("y", -1),
    "move_down": ("y", 1),
    "rotate_clockwise": ("angle", 1),
    "rotate_counterclockwise": ("angle", -1),
    "grow": ("size", 1),
    "shrink": ("size", -1),
}
_RADII = (0.18, 0.42)  # smallest and largest, in frame widths
# Splits and clips in memory take independent random streams of one seed.
STREAMS = {"train": 0, "test": 1, "val": 2, "clips": 3}


def render_motion(
    class_name: str, seed: int | Sequence[int], num_frames: int = 32, size: int = 64
) -> np.ndarray:
    """Renders one video of a class.

    The seed determines everything but the motion: with the same seed, the first frame is the
    same for all classes.

    Args:
        class_name: one of `MOTION_CLASSES`.
        seed: one or several integers of at least 0.
        num_frames: frames in the video.
        size: side of the frames in pixels, even, at least 32.

    Returns:
        uint8 array of shape (num_frames, size, size, 3), RGB.

    Raises:
        InvalidArgumentError: if there is no such class, or a number is out of its range.

    Example:

    ```python
    frames = render_motion("rotate_clockwise", seed=0)
    frames.shape  # (32, 64, 64, 3)
    ```
    """
    if class_name not in _DRIVEN:
        raise InvalidArgumentError(
            f"`class_name` must be one of {MOTION_CLASSES}, for example 'grow'. "
            f"Received: {class_name!r}",
            argument="class_name",
        )
    check_integer("num_frames", num_frames, 1, 32)
    check_size(size)
    rng = np.random.default_rng(_checked_seed(seed))
    return rendering.draw_video(motion_path(class_name, num_frames, rng), size, rng)


def motion_path(class_name: str, num_frames: int, rng: np.random.Generator) -> rendering.Path:
    """Returns the path of an object: a uniformly random state, one part of which cycles.

    Args:
        class_name: one of `MOTION_CLASSES`.
        num_frames: frames in the video.
        rng: generator; the same numbers are drawn for every class.

    Returns:
        Path with arrays of shape (num_frames,).
    """
    driven, sign = _DRIVEN[class_name]
    state = dict(zip(_SPEEDS, rng.uniform(0, 1, len(_SPEEDS)), strict=True))
    slowest, fastest = _SPEEDS[driven]
    speed = sign * (slowest + (fastest - slowest) * rng.random())
    runs = {
        part: (start + (speed if part == driven else 0) * np.arange(num_frames)) % 1
        for part, start in state.items()
    }
    smallest, largest = _RADII
    return rendering.Path(
        x=runs["x"],
        y=runs["y"],
        angle=2 * np.pi * runs["angle"],
        # From the largest size the object jumps to the smallest: all sizes are equally likely at
        # every instant, and played backwards it is a shrinking object.
        radius=smallest * (largest / smallest) ** runs["size"],
    )


def motion_clips(num_clips: int, clip_spec: ClipSpec, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns clips of the motion set, generated in memory, for tests and small experiments.

    Args:
        num_clips: number of clips, each from a different video.
        clip_spec: any ClipSpec; each clip is the centre view of a rendered video.
        seed: integer of at least 0; another seed gives other videos.

    Returns:
        Clips, uint8 (num_clips, *clip_spec.input_shape), and labels, int64 (num_clips,), indices
        into `MOTION_CLASSES`. The classes alternate: every run of 8 clips has each class once.

    Raises:
        InvalidArgumentError: if a number is out of its range.

    Example:

    ```python
    clip_spec = ClipSpec(num_frames=16, frame_stride=1, resize=64, crop=64)
    clips, labels = motion_clips(64, clip_spec, seed=0)
    ```
    """
    check_integer("num_clips", num_clips, 1, 64)
    check_integer("seed", seed, 0, 0)
    clips = np.empty((num_clips, *clip_spec.input_shape), np.uint8)
    labels = np.arange(num_clips) % len(MOTION_CLASSES)
    for index, label in enumerate(labels):
        stream = (seed, STREAMS["clips"], index)
        frames = render_motion(MOTION_CLASSES[label], stream, clip_spec.span)
        clips[index] = take_view(frames, clip_spec)
    return clips, labels


def check_size(size: Any) -> None:
    """Raises an InvalidArgumentError unless `size` is a valid side of frames."""
    if not isinstance(size, (int, np.integer)) or size < 32 or size % 2:
        raise InvalidArgumentError(
            "`size` must be an even number of pixels of at least 32, for example 64, as MP4 "
            f"files store one colour per 2x2 pixels. Received: {size!r}",
            argument="size",
        )


def _checked_seed(seed: Any) -> list[int]:
    parts = list(seed) if isinstance(seed, (tuple, list)) else [seed]
    for part in parts:
        check_integer("seed", part, 0, 0)
    return [len(parts), *map(int, parts)]  # for NumPy, 1 and (1, 0) are the same seed
