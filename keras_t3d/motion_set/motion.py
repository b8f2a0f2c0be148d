"""The motion set: made videos whose classes only motion tells apart.

One object moves over clutter. Its place, its angle and its size are uniformly
random at every instant, whatever the class: the class only says which of them
runs, and which way. So a single frame says nothing, and neither do frames in
random order about a motion and its opposite: played backwards, the one is the
other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import loky
import numpy as np

from keras_t3d.atomic import written_beside
from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.motion_set import rendering

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("move_left", "move_right"),
    ("move_up", "move_down"),
    ("rotate_clockwise", "rotate_counterclockwise"),
    ("grow", "shrink"),
)
MOTION_CLASSES: tuple[str, ...] = tuple(name for pair in OPPOSITES for name in pair)

# Slowest and fastest, per frame: widths of the frame, turns, cycles from small to large.
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
_RADII = (0.18, 0.42)  # smallest and largest, in widths of the frame
# What is made for different ends comes from different random streams of one seed.
_STREAMS = {"train": 0, "test": 1, "val": 2, "clips": 3}


def render_motion(
    class_name: str, seed: int | Sequence[int], num_frames: int = 32, size: int = 64
) -> np.ndarray:
    """Renders one video of a class.

    The seed decides everything but the motion: with one seed, the first frame is
    the same for all classes.

    Args:
        class_name: one of `MOTION_CLASSES`.
        seed: int or ints, at least 0.
        num_frames: int. Frames in the video. Defaults to `32`.
        size: int. Side of the frames, in pixels, even, at least 32. Defaults to `64`.

    Returns:
        uint8 array of shape (num_frames, size, size, 3), RGB.

    Raises:
        ValueError: if there is no such class, or a number is out of its range.

    Example:

    ```python
    frames = render_motion("rotate_clockwise", seed=0)
    frames.shape  # (32, 64, 64, 3)
    ```
    """
    if class_name not in _DRIVEN:
        raise ValueError(
            f"`class_name` must be one of {MOTION_CLASSES}, for example 'grow'. "
            f"Received: {class_name!r}"
        )
    _check_whole("num_frames", num_frames, 1, 32)
    _check_size(size)
    rng = np.random.default_rng(_checked_seed(seed))
    return rendering.draw_video(motion_path(class_name, num_frames, rng), size, rng)


def motion_path(class_name: str, num_frames: int, rng: np.random.Generator) -> rendering.Path:
    """Returns the path of an object: a uniformly random state, of which one part runs in a ring.

    Args:
        class_name: one of `MOTION_CLASSES`.
        num_frames: int. Frames in the video.
        rng: generator. It is asked for the same numbers whatever the class.

    Returns:
        Path, whose arrays have shape (num_frames,).
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
        # Grown to the largest it starts again at the smallest: every size is as
        # likely at every instant, and backwards the leap is that of a shrinking one.
        radius=smallest * (largest / smallest) ** runs["size"],
    )


def motion_clips(num_clips: int, spec: ClipSpec, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns clips of the motion set, made in memory, for tests and small experiments.

    Args:
        num_clips: int. Number of clips, each from a video of its own.
        spec: ClipSpec. Any spec; each clip is its centre view of a rendered video.
        seed: int, at least 0. Another seed gives other videos.

    Returns:
        Clips, uint8 array of shape (num_clips, *spec.input_shape), and labels, int64
        array of shape (num_clips,) of indices into `MOTION_CLASSES`. The classes
        alternate, so that every run of 8 clips has each class once.

    Raises:
        ValueError: if a number is out of its range.

    Example:

    ```python
    spec = ClipSpec(num_frames=16, frame_stride=1, resize=64, crop=64)
    clips, labels = motion_clips(64, spec, seed=0)
    ```
    """
    _check_whole("num_clips", num_clips, 1, 64)
    _check_whole("seed", seed, 0, 0)
    clips = np.empty((num_clips, *spec.input_shape), np.uint8)
    labels = np.arange(num_clips) % len(MOTION_CLASSES)
    for index, label in enumerate(labels):
        frames = render_motion(MOTION_CLASSES[label], (seed, _STREAMS["clips"], index), spec.span)
        clips[index] = take_view(frames, spec)
    return clips, labels


# Writing the set.


class _Video(NamedTuple):
    """One video to write."""

    file: Path
    class_name: str
    seed: tuple[int, ...]
    num_frames: int
    size: int
    fps: int


def write_motion_set(
    directory: str | os.PathLike[str],
    videos_per_class: Mapping[str, int],
    seed: int = 0,
    num_frames: int = 32,
    size: int = 64,
    fps: int = 16,
    workers: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Writes the motion set as `directory/split/class/name.mp4`.

    The same arguments give the same frames, whatever the number of workers.

    Args:
        directory: path. A folder that does not exist yet, or an empty one; it is
            there only once it is complete.
        videos_per_class: dict of split name (`"train"`, `"val"`, `"test"`) to the
            number of videos of each class. Each split has random numbers of its own.
        seed: int, at least 0. Another seed gives other videos. Defaults to `0`.
        num_frames: int. Frames in each video. Defaults to `32`.
        size: int. Side of the frames, in pixels, even, at least 32. Defaults to `64`.
        fps: int. Frames per second that the files declare. Defaults to `16`.
        workers: int. Processes that render. Defaults to `1`.
        progress: function of two ints, videos written and videos in all, called
            after each video. Defaults to `None`.

    Returns:
        The directory.

    Raises:
        ValueError: if the directory has something in it, or a number is out of
            its range.

    Example:

    ```python
    write_motion_set("videos/motion", {"train": 40, "test": 10}, seed=0)
    ```
    """
    _check_splits(videos_per_class)
    for name, value, lowest, example in (
        ("seed", seed, 0, 0),
        ("num_frames", num_frames, 1, 32),
        ("fps", fps, 1, 16),
        ("workers", workers, 1, 2),
    ):
        _check_whole(name, value, lowest, example)
    _check_size(size)

    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(
            "`directory` must be a folder that does not exist yet, or an empty one, "
            "so that no other videos mix with the set, for example 'videos/motion'. "
            f"Received: {str(directory)!r}"
        )
    with written_beside(directory) as unfinished:
        videos = [
            _Video(
                unfinished / split / class_name / f"{class_name}_{index:04d}.mp4",
                class_name,
                (seed, _STREAMS[split], label, index),
                num_frames,
                size,
                fps,
            )
            for split, count in videos_per_class.items()
            for label, class_name in enumerate(MOTION_CLASSES)
            for index in range(count)
        ]
        for folder in {video.file.parent for video in videos}:
            folder.mkdir(parents=True)
        for done, _ in enumerate(_write_videos(videos, workers), start=1):
            if progress is not None:
                progress(done, len(videos))
    return directory


def _write_videos(videos: Sequence[_Video], workers: int) -> Iterator[None]:
    if workers == 1:
        yield from map(_write_video, videos)
        return
    pool = loky.ProcessPoolExecutor(workers, timeout=30)
    try:
        yield from pool.map(_write_video, videos, chunksize=8)
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _write_video(video: _Video) -> None:
    frames = render_motion(video.class_name, video.seed, video.num_frames, video.size)
    encode_mp4(video.file, frames, video.fps)


def encode_mp4(file: str | os.PathLike[str], frames: np.ndarray, fps: int = 16) -> None:
    """Writes frames as H.264, each coded by itself.

    A frame predicted from those before it would carry a trace of them, and so of
    the direction of time; with one quantiser for all and no prediction, a frame's
    pixels in the file follow from that frame alone.

    Args:
        file: path of the mp4.
        frames: uint8 array of shape (frames, height, width, 3), RGB, sides even.
        fps: int. Frames per second. Defaults to `16`.
    """
    import av

    with av.open(os.fspath(file), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "qp": "20", "x264-params": "keyint=1:threads=1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


# What the arguments must be.


def _check_whole(name: str, value: Any, lowest: int, example: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
        raise ValueError(
            f"`{name}` must be a whole number of at least {lowest}, for example "
            f"{name}={example}. Received: {value!r}"
        )


def _check_size(size: Any) -> None:
    if not isinstance(size, (int, np.integer)) or size < 32 or size % 2:
        raise ValueError(
            "`size` must be an even number of pixels, at least 32: the mp4s hold one colour "
            f"for each 2x2 pixels. For example size=64. Received: {size!r}"
        )


def _checked_seed(seed: Any) -> list[int]:
    parts = list(seed) if isinstance(seed, (tuple, list)) else [seed]
    for part in parts:
        _check_whole("seed", part, 0, 0)
    return [len(parts), *map(int, parts)]  # NumPy itself takes 1 and (1, 0) for one seed


def _check_splits(videos_per_class: Any) -> None:
    splits = [name for name in _STREAMS if name != "clips"]
    if (
        not isinstance(videos_per_class, Mapping)
        or not videos_per_class
        or not set(videos_per_class) <= set(splits)
    ):
        raise ValueError(
            f"`videos_per_class` must be a dict from splits, of {splits}, to numbers of videos, "
            f"for example {{'train': 40, 'test': 10}}. Received: {videos_per_class!r}"
        )
    for split, count in videos_per_class.items():
        _check_whole(f"videos_per_class[{split!r}]", count, 1, 40)
