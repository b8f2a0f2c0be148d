"""A window that slides over frames as they are decoded, and holds no others."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_t3d.clips import ClipSpec, clip_frames, crop_positions, resize_short_side, take_view
from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.inference.hops import Hop


@dataclasses.dataclass(frozen=True)
class Window:
    """The views of one stretch of a video.

    Attributes:
        first_frame: int. Number of its first frame, from 0.
        start: float. Seconds at which its first frame appears.
        end: float. Seconds at which its last frame gives way; where the video loops, the
            video's last.
        clips: uint8 array of shape (crops, *clip_spec.input_shape).
    """

    first_frame: int
    start: float
    end: float
    clips: np.ndarray


class SlidingWindow:
    """Takes the frames of a video one by one and gives windows of `spec.span` frames.

    A frame is resized once, however many windows it is in, and held as long as a window may
    need it: those of one window, in the model's size, however long the video. Between windows
    that lie apart, too, as the video may end there.

    Args:
        spec: ClipSpec.
        hop: Hop. Not to be used for another video.
        num_crops: int. 1, 3 or 5, see `keras_t3d.clips.crop_positions`. Defaults to `1`.

    Example:

    ```python
    sliding = SlidingWindow(spec, FrameHop(16, spec))
    with VideoReader("clip.mp4") as video:
        windows = [sliding.push(frame) for frame in video.timed()]  # None, ..., Window, ...
    last = sliding.rest()
    ```
    """

    def __init__(self, spec: ClipSpec, hop: Hop, num_crops: int = 1) -> None:
        crop_positions(num_crops, 1, 1)  # refuses what is none
        self.spec = spec
        self.num_crops = num_crops
        self._still = dataclasses.replace(spec, num_frames=1)  # of one frame at a time
        self._hop = hop
        self._held: dict[int, _HeldFrame] = {}
        self._begun: list[int] = []  # first frames of windows that are not full yet
        self._count = 0
        self._last_given = -1

    @property
    def num_held(self) -> int:
        """How many frames are held now."""
        return len(self._held)

    def push(self, frame: TimedFrame) -> Window | None:
        """Takes the next frame; returns the window that it completes, if any."""
        index, self._count = self._count, self._count + 1
        on_grid = index % self._hop.grid == 0
        if on_grid and self._hop.begins(index, frame.start):
            self._begun.append(index)
        self._forget()
        # A video that ends before its first window is full loops: it needs every frame.
        if on_grid or index < self.spec.span:
            self._held[index] = _held(frame, self._still, self.num_crops)
        if self._begun and index == self._begun[0] + self.spec.span - 1:
            return self._window(self._begun.pop(0))
        return None

    def rest(self) -> Window | None:
        """Returns the window that ends with the video, or None if the last one did.

        It begins on the grid of the others, so that up to `frame_stride` - 1 frames at the very
        end may be left out. A video shorter than a window loops, as everywhere.
        """
        first = max(self._earliest(), 0)
        if self._count == 0 or first <= self._last_given:
            return None
        return self._window(first)

    def _earliest(self) -> int:
        """First frame of the last window, should the video end here."""
        grid = self._hop.grid
        return (self._count - self.spec.span) // grid * grid

    def _forget(self) -> None:
        earliest, grid = self._earliest(), self._hop.grid
        if earliest < 0:
            return
        self._held = {i: f for i, f in self._held.items() if i >= earliest and i % grid == 0}

    def _window(self, first: int) -> Window:
        self._last_given = first
        chosen = [int(index) for index in clip_frames(self._count, self.spec, first)]
        frames = [self._held[index] for index in chosen]
        clips = np.stack([frame.views for frame in frames], axis=1)
        loops = self._count < self.spec.span
        end = self._held[self._count - 1].end if loops else frames[-1].end
        return Window(first, frames[0].start, end, clips)


@dataclasses.dataclass(frozen=True)
class _HeldFrame:
    start: float
    end: float
    views: np.ndarray  # uint8 (crops, height, width, 3)


def _held(frame: TimedFrame, spec: ClipSpec, num_crops: int) -> _HeldFrame:
    pixels = frame.pixels
    if num_crops > 1:
        pixels = resize_short_side(pixels, spec.resize)  # once for all crops
    positions = crop_positions(num_crops, *pixels.shape[:2])
    views = [take_view(pixels[None], spec, position=position)[0] for position in positions]
    return _HeldFrame(frame.start, frame.end, np.stack(views))
