"""Writes a video with the heat of a class over its frames and over time."""

from __future__ import annotations

import bisect
import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_t3d.atomic import check_file_path
from keras_t3d.clips import ClipSpec
from keras_t3d.data.video.damage import warn_of_damage
from keras_t3d.data.video.frames import SAME_TIME, TimedFrame
from keras_t3d.data.video.reader import VideoReader
from keras_t3d.errors import check_argument
from keras_t3d.evaluation.heat_overlay import draw_heat, heat_strip, stretch, with_strip
from keras_t3d.evaluation.options import HeatMethod
from keras_t3d.fonts import find_fonts
from keras_t3d.inference.load import load_layers
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.overlay import draw_classes, to_square_pixels
from keras_t3d.inference.predict import predict_video
from keras_t3d.inference.sliding_window import SlidingWindow, Window
from keras_t3d.inference.video_writer import open_video_writer
from keras_t3d.progress import Progress

if TYPE_CHECKING:
    from keras_t3d.evaluation.grad_cam import HeatMaps
    from keras_t3d.models.video_classifier import VideoClassifier


@dataclasses.dataclass(frozen=True)
class WindowHeat:
    """The heat of one window of a video.

    Attributes:
        first_frame: index of its first frame, of those that clips read.
        start: seconds at which its first frame appears.
        end: seconds at which it ends.
        probability: probability of the class in the window.
        values: float32 array (time, height, width) of the feature map, 0 or more.
    """

    first_frame: int
    start: float
    end: float
    probability: float
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class ExplainedVideo:
    """Where in a video a network finds the evidence for a class.

    Attributes:
        class_name: the class.
        windows: windows that cover the video, in order.
    """

    class_name: str
    windows: tuple[WindowHeat, ...]

    def over_time(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns times in seconds, and the mean heat at each, 1 at the maximum."""
        times, heat = [], []
        for window in self.windows:
            means = window.values.mean(axis=(1, 2))
            middles = (np.arange(len(means)) + 0.5) / len(means)
            times += [window.start + share * (window.end - window.start) for share in middles]
            heat += means.tolist()
        order = np.argsort(times, kind="stable")  # the last window overlaps the one before
        values = np.array(heat)[order]
        return np.array(times)[order], values / (values.max() or 1.0)


def explain_video(
    model: VideoClassifier | str | os.PathLike[str],
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    class_name: str | None = None,
    layer: str | None = None,
    method: HeatMethod = "hires_cam",
    *,
    progress: Progress | None = None,
) -> ExplainedVideo:
    """Writes a video that shows where a network finds the evidence for a class.

    Windows of the model's clips cover the video. Their heat (see `grad_cam`) is drawn over the
    frames, inside the crop that the model reads, and its mean over each frame in a strip below.
    The hottest place of the video has full colour. Memory does not grow with the video, but for a
    feature map with one channel per window.

    Args:
        model: as for `grad_cam`.
        path: path of the video.
        out: path of the mp4 file to write, without sound.
        class_name: class to explain; the most probable one of the video by default.
        layer: stage or layer whose feature map is weighed; the last feature map by default.
        method: hires_cam weighs each value of the feature map by its own gradient, grad_cam by the
            mean of its channel's gradients.
        progress: called with (frames done, frames in all), each frame counting twice.

    Returns:
        The ExplainedVideo.

    Raises:
        InvalidArgumentError: as by `grad_cam`, or if `out` is the video, or does not end in .mp4.
        VideoError: if the video cannot be read.

    Example:

    ```python
    found = keras_t3d.evaluation.explain_video("best.keras", "clip.mp4", "explained.mp4")
    times, heat = found.over_time()
    ```
    """
    check_file_path(out, "out", "explained.mp4")
    if os.path.exists(out) and os.path.exists(path):
        same = os.path.samefile(path, out)
        check_argument("out", os.fspath(out), not same, "another file than the video")
    from keras_t3d.evaluation.grad_cam import HeatMaps  # imports Keras

    network = load_layers(model)
    maps = HeatMaps(network, layer, method)
    if class_name is None:
        ((class_name, _),) = predict_video(network, path, top=1)
    report = progress or (lambda done, total: None)
    windows, num_frames = _windows(maps, path, class_name, report)
    explained = ExplainedVideo(class_name, windows)
    _draw(
        explained, maps.clip_spec, path, out, lambda done: report(num_frames + done, 2 * num_frames)
    )
    return explained


def _windows(
    maps: HeatMaps, path: str | os.PathLike[str], class_name: str, report: Progress
) -> tuple[tuple[WindowHeat, ...], int]:
    """Returns the heat of windows that cover a video, and its number of frames."""
    clip_spec, heat, count = maps.clip_spec, [], 0
    hop = clip_spec.num_frames * clip_spec.frame_stride
    sliding_window = SlidingWindow(clip_spec, WindowOptions(hop_frames=hop))

    def add(window: Window) -> None:
        probabilities, values, index = maps.compute(window.clips[0], class_name)
        times = window.first_frame, window.start, window.end
        heat.append(WindowHeat(*times, float(probabilities[index]), values))

    with VideoReader(path) as video:
        stated = video.header.num_frames or 0
        for count, frame in enumerate(video.timed(), start=1):
            for window in sliding_window.push(frame):
                add(window)
            report(count, 2 * max(stated, count))
        last = sliding_window.finish()
        if last is not None:
            add(last)
    return tuple(heat), count


def _draw(
    explained: ExplainedVideo,
    clip_spec: ClipSpec,
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    report: Callable[[int], None],
) -> None:
    frame_heat = _FrameHeat(explained.windows, clip_spec)
    times, heat = explained.over_time()
    seconds = explained.windows[-1].end
    fonts = find_fonts([explained.class_name])
    strip: np.ndarray | None = None
    with VideoReader(path) as video, open_video_writer(out) as writer:
        for number, frame in enumerate(video.timed(), start=1):
            window, values = frame_heat.at(number - 1, frame)
            pixels = to_square_pixels(frame.pixels, frame.pixel_aspect)
            if strip is None:
                strip = heat_strip(times, heat, seconds, *pixels.shape[:2])
            pixels = draw_heat(pixels, values, clip_spec)
            pixels = draw_classes(pixels, ((explained.class_name, window.probability),), fonts)
            writer.write(with_strip(pixels, strip, frame.start / seconds), frame.start, frame.end)
            report(number)
    warn_of_damage(path, video.damage)


class _FrameHeat:
    """Returns the heat of the frames of a video, in order, 1 at the hottest place of all."""

    def __init__(self, windows: Sequence[WindowHeat], clip_spec: ClipSpec) -> None:
        self._windows, self._clip_spec = windows, clip_spec
        self._firsts = [window.first_frame for window in windows]
        self._hottest = max(float(window.values.max()) for window in windows) or 1.0
        self._origin: float | None = None
        self._stretched: tuple[WindowHeat, np.ndarray] | None = None

    def at(self, number: int, frame: TimedFrame) -> tuple[WindowHeat, np.ndarray]:
        """Returns the window of a frame, and its heat (height, width) of the feature map."""
        index, clip_spec = self._index(number, frame), self._clip_spec
        window = self._windows[bisect.bisect_right(self._firsts, index) - 1]
        if self._stretched is None or self._stretched[0] is not window:
            fine = stretch(window.values / self._hottest, [clip_spec.num_frames])
            self._stretched = window, fine
        step = (index - window.first_frame) // clip_spec.frame_stride
        return window, self._stretched[1][min(step, clip_spec.num_frames - 1)]

    def _index(self, number: int, frame: TimedFrame) -> int:
        """Returns the index of a frame among those that clips read."""
        if self._origin is None:
            self._origin = frame.start
        if self._clip_spec.fps is None:
            return number
        return int((frame.start - self._origin + SAME_TIME) * self._clip_spec.fps)
