"""What a stream keeps from step to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from keras_t3d.private_interfaces import inner_layers
from keras_t3d.streaming.errors import StreamingError
from keras_t3d.streaming.options import StreamOptions
from keras_t3d.streaming.temporal_layers import past_frames

STEPS = "steps"  # name of the number of steps since the reset, float32 (batch, 1)


class Memory:
    """The state before a step, and the one after it, which the layers of a network add to.

    All of a state is zeros at first. The tensors of a layer have its path for a name, with `_` for
    `/`, and a batch axis.

    Args:
        model: the network.
        options: which frames a prediction is about.
        before: state by name, float32; None takes zeros, of the shapes that are found.
        has_batch: whether clips have a batch axis, as in Keras; the lowered network has none.

    Attributes:
        after: state after the step.
        steps: number of steps since the reset with this one, (batch, 1).
    """

    def __init__(
        self,
        model: Any,
        options: StreamOptions,
        before: Mapping[str, Any] | None,
        has_batch: bool = True,
    ) -> None:
        self.options = options
        self._names = dict(_paths(model))
        self._before = before
        self._has_batch = has_batch
        # Frames of this step, how many before them are kept, and both together: layers that read
        # the same frames share what the first of them keeps, if that is enough.
        self._extended: dict[int, tuple[Any, int, Any]] = {}
        self.after: dict[str, Any] = {}
        self._steps_before = self.recall(STEPS, (1,))
        self.steps = self.after[STEPS] = self._steps_before + 1.0

    def name(self, layer: Any, suffix: str = "") -> str:
        """Returns a name for a tensor of a layer, which another one of it may not have yet."""
        name = "_".join([self._names.get(id(layer), layer.name), *filter(None, [suffix])])
        count = sum(taken == name or taken.startswith(f"{name}__") for taken in self.after)
        return f"{name}__{count + 1}" if count else name  # of a layer that the graph has twice

    def recall(self, name: str, shape: Sequence[int]) -> Any:
        """Returns a tensor of the state before the step, (batch, *shape)."""
        return ops.zeros((1, *shape)) if self._before is None else self._before[name]

    def or_first(self, past: Any, first: Any) -> Any:
        """Returns the past, or before the first step the first value, which changes no maximum."""
        started = ops.reshape(self._steps_before > 0, (-1, *[1] * (len(first.shape) - 1)))
        return ops.where(started, past, first)

    def means(self, layer: Any, frames: Any) -> Any:
        """Returns the mean of the frames since the reset up to each, (batch, time, channels).

        Args:
            layer: the layer that reads them.
            frames: what stands for each frame of this step, (batch, time, channels).

        Raises:
            StreamingError: if the layer is not causal.
        """
        if not layer.causal:
            raise StreamingError(layer, "is not causal")
        name, count = self.name(layer, "mean"), frames.shape[1]
        mean = self.recall(name, (frames.shape[2],))
        before, means = self._steps_before * count, []
        for number in range(count):
            mean = mean + (frames[:, number] - mean) / (before + (number + 1.0))
            means.append(mean)
        self.after[name] = mean
        return ops.stack(means, axis=1)

    def extend(self, layer: Any, clips: Any, is_positive: bool = False) -> tuple[Any, str]:
        """Returns the frames that a convolution or pool reads, and how it then pads time.

        Args:
            layer: ClipConv3D or ClipMaxPooling3D.
            clips: frames of this step.
            is_positive: whether zeros are lower than any value, so that a maximum ignores them.
        """
        count = past_frames(layer)
        if count == 0:
            return clips, "causal"
        is_pool = hasattr(layer, "pool_size")
        frames, kept, whole = self._extended.get(id(clips), (None, 0, None))
        if frames is clips and kept >= count and not is_pool:
            return whole[..., kept - count :, :, :, :], "valid"
        name, frames = self.name(layer), clips
        past = self.recall(name, (count, *clips.shape[-3:]))
        if not self._has_batch:  # reshapes are free in LiteRT
            past = ops.reshape(past, past.shape[1:])
        if is_pool and not is_positive:
            past = self.or_first(past, clips[..., :1, :, :, :])
        clips = ops.concatenate([past, clips], axis=1 if self._has_batch else 0)
        last = clips[..., -count:, :, :, :]
        self.after[name] = last if self._has_batch else ops.reshape(last, (1, *last.shape))
        if not is_pool:
            self._extended[id(frames)] = frames, count, clips
        return clips, "valid"

    def only_frame(self, layer: Any, clips: Any) -> Any:
        """Returns the frame of a step at the end of the network, (batch, height, width, channels).

        Raises:
            StreamingError: if a step has several there.
        """
        if clips.shape[-4] != 1:
            raise StreamingError(layer, f"reads {clips.shape[-4]} frames at a time, not one")
        return clips[:, 0] if self._has_batch else clips


def _paths(layer: Any, path: str = "") -> Any:
    """Yields each layer's id and path."""
    for inner in inner_layers(layer):
        name = f"{path}_{inner.name}" if path else inner.name
        yield id(inner), name
        yield from _paths(inner, name)
