"""Windows that slide over the frames of a video as they are decoded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from keras_t3d.clips import ClipSpec, clip_frames, crop_positions, resize_short_side, take_view
from keras_t3d.data.video.frames import SAME_TIME, TimedFrame
from keras_t3d.inference.options import WindowOptions


@dataclasses.dataclass(frozen=True)
class Window:
    """The frames of one clip of a video, as the model reads them.

    Attributes:
        first_frame: index of its first frame.
        start: seconds at which its first frame appears.
        end: seconds at which the frame after its last one appears; the end of the video where
            the window loops.
        clips: uint8 array (crops, *clip_spec.input_shape).
    """

    first_frame: int
    start: float
    end: float
    clips: np.ndarray


IsStart = Callable[[int, float], bool]  # of a frame's index and its time, called in order


def window_starts(clip_spec: ClipSpec, options: WindowOptions) -> tuple[int, IsStart]:
    """Returns where the windows of one video start.

    Returns:
        A number of frames of which every start is a multiple, and a function from such a frame to
        whether a window starts there.
    """
    if options.hop is not None:
        return clip_spec.frame_stride, _starts_after(options.hop)
    half = max(clip_spec.num_frames // 2, 1) * clip_spec.frame_stride
    hop = options.hop_frames or half
    # Apart from the first window, frames that are no multiple of this are never converted.
    return math.gcd(hop, clip_spec.frame_stride), lambda index, time: index % hop == 0


def _starts_after(hop: float) -> IsStart:
    """Starts a window at the first frame shown at or after each multiple of `hop` seconds."""
    due = 0.0

    def is_start(index: int, time: float) -> bool:
        nonlocal due
        if time < due - SAME_TIME and index > 0:
            return False
        reached = time + SAME_TIME
        due = reached - math.fmod(reached, hop) + hop
        return True

    return is_start


class SlidingWindow:
    """Accepts the frames of one video in order, and returns windows of `clip_spec.span` frames.

    A frame is resized once, however many windows it is in. Only the frames of one window are
    held, in the model's size, however long the video is. They are also held between windows that
    do not overlap, because the video may end there. With `clip_spec.fps`, the frames are those of
    the video at that rate, and indices and times of windows are theirs.

    Args:
        clip_spec: the clips that the model reads.
        options: WindowOptions, of which the hop and `num_crops` are used.

    Example:

    ```python
    clip_spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    sliding_window = SlidingWindow(clip_spec, WindowOptions(hop=0.5))
    with keras_t3d.data.VideoReader("clip.mp4") as video:
        for frame in video.timed():
            windows = sliding_window.push(frame)  # [], ..., [Window]
    last = sliding_window.finish()
    ```
    """

    def __init__(self, clip_spec: ClipSpec, options: WindowOptions | None = None) -> None:
        options = options or WindowOptions()
        self.clip_spec = clip_spec
        self._num_crops = options.num_crops
        self._frame_spec = dataclasses.replace(clip_spec, num_frames=1)
        self._frame_step, self._is_start = window_starts(clip_spec, options)
        self._frames: dict[int, _Frame] = {}
        self._open: list[int] = []  # first frames of windows that are not complete yet
        self._origin: float | None = None  # seconds at which the first frame appears
        self._count = 0
        self._last_window = -1

    @property
    def num_held(self) -> int:
        """Number of frames held."""
        return len(self._frames)

    def push(self, frame: TimedFrame) -> list[Window]:
        """Adds the next frame; returns the windows that it completes."""
        frames = [frame] if self.clip_spec.fps is None else self._at_rate(frame, self.clip_spec.fps)
        return [window for frame in frames if (window := self._push(frame)) is not None]

    def _at_rate(self, frame: TimedFrame, fps: float) -> Iterator[TimedFrame]:
        """Yields the frame for each time of the clips' rate to which it is the nearest."""
        if self._origin is None:
            self._origin = frame.start
        middle = (frame.start + frame.end) / 2
        while (start := self._origin + self._count / fps) < middle - SAME_TIME:
            yield TimedFrame(start, start + 1 / fps, lambda: frame.pixels, frame.pixel_aspect)

    def _push(self, frame: TimedFrame) -> Window | None:
        index, self._count = self._count, self._count + 1
        is_candidate = index % self._frame_step == 0
        if is_candidate and self._is_start(index, frame.start):
            self._open.append(index)
        self._drop_frames()
        # A video that ends before its first window is complete loops, and needs every frame.
        if is_candidate or index < self.clip_spec.span:
            self._frames[index] = _resize_and_crop(frame, self._frame_spec, self._num_crops)
        if self._open and index == self._open[0] + self.clip_spec.span - 1:
            return self._window(self._open.pop(0))
        return None

    def finish(self) -> Window | None:
        """Returns the window that ends with the video, or None if the last one did.

        It starts at a multiple of the same number of frames as the others, so that up to
        `frame_stride` - 1 frames at the very end may be left out. A video shorter than a window
        loops.
        """
        first = max(self._first_of_last_window(), 0)
        if self._count == 0 or first <= self._last_window:
            return None
        return self._window(first)

    def _first_of_last_window(self) -> int:
        """First frame of the last window if the video ended here."""
        step = self._frame_step
        return (self._count - self.clip_spec.span) // step * step

    def _drop_frames(self) -> None:
        first, step = self._first_of_last_window(), self._frame_step
        if first < 0:
            return
        self._frames = {i: f for i, f in self._frames.items() if i >= first and i % step == 0}

    def _window(self, first: int) -> Window:
        self._last_window = first
        indices = clip_frames(self._count, self.clip_spec, first)
        frames = [self._frames[int(index)] for index in indices]
        clips = np.stack([frame.crops for frame in frames], axis=1)
        loops = self._count < self.clip_spec.span
        end = self._frames[self._count - 1].end if loops else frames[-1].end
        return Window(first, frames[0].start, end, clips)


@dataclasses.dataclass(frozen=True)
class _Frame:
    start: float
    end: float
    crops: np.ndarray  # uint8 (crops, height, width, 3)


def _resize_and_crop(frame: TimedFrame, clip_spec: ClipSpec, num_crops: int) -> _Frame:
    pixels = frame.pixels
    if num_crops > 1:
        pixels = resize_short_side(pixels, clip_spec.resize)  # once for all crops
    positions = crop_positions(num_crops, *pixels.shape[:2])
    crops = [take_view(pixels[None], clip_spec, position=position)[0] for position in positions]
    return _Frame(frame.start, frame.end, np.stack(crops))
