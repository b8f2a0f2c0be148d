"""Which frames a kernel or pool reads as it slides over a clip in time."""

from __future__ import annotations


class TemporalWindows:
    """The windows of one kernel or pool over a clip.

    Args:
        frames: int. Length of the clip.
        size: int. Taps of the kernel or pool.
        stride: int.
        padding: `"even"`, (size - 1) // 2 zeros before and size // 2 after the clip; Keras's
            `"same"`, which counts on the stride too; or `"valid"`, none. Defaults to `"even"`.
    """

    def __init__(self, frames: int, size: int, stride: int, padding: str = "even") -> None:
        self.frames = frames
        self.size = size
        self.stride = stride
        if padding == "same":
            self.count = -(-frames // stride)
            self.before = max((self.count - 1) * stride + size - frames, 0) // 2
        elif padding == "even":
            self.count = (frames - 1) // stride + 1
            self.before = (size - 1) // 2
        else:
            self.count = (frames - size) // stride + 1
            self.before = 0

    def by_reach(self) -> list[int]:
        """The taps that meet a frame of the clip, those that meet most first."""
        taps = [tap for tap in range(self.size) if self.outputs(tap)]
        return sorted(taps, key=lambda tap: -len(self.outputs(tap)))

    def outputs(self, tap: int) -> range:
        """The windows in which this tap lies on a frame of the clip: neighbours, always."""
        shift = tap - self.before
        first = max(-(shift // self.stride), 0)
        last = (self.frames - 1 - shift) // self.stride
        return range(first, max(min(last + 1, self.count), first))

    def inputs(self, tap: int) -> range:
        """The frames that this tap reads, in those windows."""
        outputs = self.outputs(tap)
        first = outputs.start * self.stride + tap - self.before
        return range(first, first + len(outputs) * self.stride, self.stride)

    def missing(self, tap: int) -> tuple[int, int]:
        """How many windows before and after those this tap has nothing for."""
        outputs = self.outputs(tap)
        return outputs.start, self.count - outputs.stop
