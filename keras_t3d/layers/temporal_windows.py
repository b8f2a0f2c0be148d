"""Frames that a kernel or pool reads at each position in time."""

from __future__ import annotations


class TemporalWindows:
    """The windows of a kernel or pool over a clip, and the frames that its taps read.

    Args:
        frames: length of the clip.
        size: number of taps of the kernel or pool.
        stride: frames from one window to the next.
        padding: `"even"` or `"same_frames"`, (size - 1) // 2 zeros before and size // 2 after the
            clip; `"causal"`, size - stride before, which is negative where the first frames are
            not read; Keras's `"same"`, which depends on the stride too; or `"valid"`, none.
        dilation: frames from one tap to the next.
    """

    def __init__(
        self, frames: int, size: int, stride: int, padding: str = "even", dilation: int = 1
    ) -> None:
        self.frames = frames
        self.size = size
        self.stride = stride
        self.dilation = dilation
        reach = (size - 1) * dilation + 1
        if padding == "same":
            self.count = -(-frames // stride)
            self.before = max((self.count - 1) * stride + reach - frames, 0) // 2
        elif padding in ("even", "same_frames"):
            self.count = (frames - 1) // stride + 1
            self.before = (reach - 1) // 2
        elif padding == "causal":
            self.count = frames // stride
            self.before = reach - stride
        else:
            self.count = (frames - reach) // stride + 1
            self.before = 0

    def by_reach(self) -> list[int]:
        """Returns the taps that read frames of the clip, those that read most first."""
        taps = [tap for tap in range(self.size) if self.outputs(tap)]
        return sorted(taps, key=lambda tap: -len(self.outputs(tap)))

    def outputs(self, tap: int) -> range:
        """Returns the windows in which a tap reads a frame of the clip, not padding."""
        shift = tap * self.dilation - self.before
        first = max(-(shift // self.stride), 0)
        last = (self.frames - 1 - shift) // self.stride
        return range(first, max(min(last + 1, self.count), first))

    def inputs(self, tap: int) -> range:
        """Returns the frames that a tap reads in the windows of `outputs`."""
        outputs = self.outputs(tap)
        first = outputs.start * self.stride + tap * self.dilation - self.before
        return range(first, first + len(outputs) * self.stride, self.stride)

    def nearest_inputs(self, tap: int) -> list[int]:
        """Returns the frames that a tap reads in all windows, the nearest one instead of padding.

        This does not change a maximum: without dilation, a window that exceeds the clip includes
        the frame at that end anyway.
        """
        first = tap * self.dilation - self.before
        read = range(first, first + self.count * self.stride, self.stride)
        return [min(max(frame, 0), self.frames - 1) for frame in read]

    def missing(self, tap: int) -> tuple[int, int]:
        """Returns the number of windows before and after those of `outputs`."""
        outputs = self.outputs(tap)
        return outputs.start, self.count - outputs.stop
