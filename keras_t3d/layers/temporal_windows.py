"""Which frames a kernel or pool reads as it slides over a clip in time."""

from __future__ import annotations


class TemporalWindows:
    """The windows of one kernel or pool over a clip.

    Args:
        frames: length of the clip.
        size: taps of the kernel or pool.
        stride: int.
        padding: `"even"`, (size - 1) // 2 zeros before and size // 2 after the clip; Keras's
            `"same"`, which counts on the stride too; or `"valid"`, none.
        dilation: frames from one tap to the next. Defaults to 1.
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
        elif padding == "even":
            self.count = (frames - 1) // stride + 1
            self.before = (reach - 1) // 2
        else:
            self.count = (frames - reach) // stride + 1
            self.before = 0

    def by_reach(self) -> list[int]:
        """The taps that meet a frame of the clip, those that meet most first."""
        taps = [tap for tap in range(self.size) if self.outputs(tap)]
        return sorted(taps, key=lambda tap: -len(self.outputs(tap)))

    def outputs(self, tap: int) -> range:
        """The windows in which this tap lies on a frame of the clip: neighbours, always."""
        shift = tap * self.dilation - self.before
        first = max(-(shift // self.stride), 0)
        last = (self.frames - 1 - shift) // self.stride
        return range(first, max(min(last + 1, self.count), first))

    def inputs(self, tap: int) -> range:
        """The frames that this tap reads, in those windows."""
        outputs = self.outputs(tap)
        first = outputs.start * self.stride + tap * self.dilation - self.before
        return range(first, first + len(outputs) * self.stride, self.stride)

    def nearest_inputs(self, tap: int) -> list[int]:
        """The frames that this tap reads in all windows, the clip's nearest for those beyond it.

        For a maximum that is as good as nothing: a window that reaches over an end of the clip
        has the frame at that end (unless it is dilated).
        """
        first = tap * self.dilation - self.before
        read = range(first, first + self.count * self.stride, self.stride)
        return [min(max(frame, 0), self.frames - 1) for frame in read]

    def missing(self, tap: int) -> tuple[int, int]:
        """How many windows before and after those this tap has nothing for."""
        outputs = self.outputs(tap)
        return outputs.start, self.count - outputs.stop
