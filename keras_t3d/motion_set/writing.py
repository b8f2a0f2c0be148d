"""Writes the motion set as video files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import loky
import numpy as np

from keras_t3d.atomic import written_beside
from keras_t3d.errors import InvalidArgumentError, check_integer
from keras_t3d.motion_set.generation import MOTION_CLASSES, STREAMS, check_size, render_motion

_Video = tuple[Path, str, int, int]  # file, class, random stream of the split, index in it


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

    The same arguments produce the same frames, whatever the number of workers.

    Args:
        directory: folder that does not exist yet or is empty; it appears once it is complete.
        videos_per_class: number of videos of each class by split (`"train"`, `"val"`,
            `"test"`). Splits have independent random numbers.
        seed: integer of at least 0; another seed gives other videos.
        num_frames: frames in each video.
        size: side of the frames in pixels, even, at least 32.
        fps: frames per second that the files declare.
        workers: number of rendering processes.
        progress: called with (videos written, videos in total) after each video.

    Returns:
        The directory.

    Raises:
        InvalidArgumentError: if the directory is not empty, or a number is out of its range.

    Example:

    ```python
    write_motion_set("videos/motion", {"train": 4, "test": 1}, seed=0)
    ```
    """
    _check_splits(videos_per_class)
    for name, value, lowest, example in (
        ("seed", seed, 0, 0),
        ("num_frames", num_frames, 1, 32),
        ("fps", fps, 1, 16),
        ("workers", workers, 1, 2),
    ):
        check_integer(name, value, lowest, example)
    check_size(size)

    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidArgumentError(
            "`directory` must not exist yet or be an empty folder, for example 'videos/motion', so "
            f"that no other videos mix with the set. Received: {str(directory)!r}",
            argument="directory",
        )
    with written_beside(directory) as unfinished:
        videos = [
            (unfinished / split / name / f"{name}_{index:04d}.mp4", name, STREAMS[split], index)
            for split, count in videos_per_class.items()
            for name in MOTION_CLASSES
            for index in range(count)
        ]
        for folder in {file.parent for file, *_ in videos}:
            folder.mkdir(parents=True)
        write = functools.partial(_write_video, seed, num_frames, size, fps)
        for done, _ in enumerate(_mapped(write, videos, workers), start=1):
            if progress is not None:
                progress(done, len(videos))
    return directory


def _mapped(
    write: Callable[[_Video], None], videos: Sequence[_Video], workers: int
) -> Iterator[None]:
    if workers == 1:
        yield from map(write, videos)
        return
    pool = loky.ProcessPoolExecutor(workers, timeout=30)
    try:
        yield from pool.map(write, videos, chunksize=8)
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _write_video(seed: int, num_frames: int, size: int, fps: int, video: _Video) -> None:
    file, class_name, stream, index = video
    seeds = (seed, stream, MOTION_CLASSES.index(class_name), index)
    encode_mp4(file, render_motion(class_name, seeds, num_frames, size), fps)


def encode_mp4(file: str | os.PathLike[str], frames: np.ndarray, fps: int = 16) -> None:
    """Writes frames as H.264, each coded independently.

    A frame predicted from earlier ones would carry traces of them, and so of the direction of
    time. With a fixed quantiser and no prediction, a frame's pixels in the file depend on that
    frame alone.

    Args:
        file: path of the MP4 file.
        frames: uint8 (frames, height, width, 3), RGB, sides even.
        fps: frames per second.
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


def _check_splits(videos_per_class: Any) -> None:
    splits = [name for name in STREAMS if name != "clips"]
    if (
        not isinstance(videos_per_class, Mapping)
        or not videos_per_class
        or not set(videos_per_class) <= set(splits)
    ):
        raise InvalidArgumentError(
            f"`videos_per_class` must be a dict from splits, of {splits}, to numbers of videos, "
            f"for example {{'train': 40, 'test': 10}}. Received: {videos_per_class!r}",
            argument="videos_per_class",
        )
    for split, count in videos_per_class.items():
        check_integer(f"videos_per_class[{split!r}]", count, 1, 40)
