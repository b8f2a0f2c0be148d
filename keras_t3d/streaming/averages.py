"""Global pooling of a stream: over the steps seen so far, by the rule of the options."""

from __future__ import annotations

from typing import Any

from keras import layers, ops

from keras_t3d.layers import GlobalDeviationPooling3D
from keras_t3d.private_interfaces import flatten_layers
from keras_t3d.streaming.errors import StreamingError
from keras_t3d.streaming.memory import Memory

GLOBAL_POOLS: tuple[type[Any], ...] = (
    GlobalDeviationPooling3D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling3D,
)


def pooled_frames(model: Any) -> int:
    """Returns the number of frames of a clip at the global pools of a model: its steps."""
    pools = (layer for layer in flatten_layers(model) if isinstance(layer, GLOBAL_POOLS))
    return max((layer.input.shape[1] for layer in pools), default=1)


def pool(layer: Any, clips: Any, memory: Memory) -> Any:
    """Returns what a global pool makes of the steps up to this one.

    Args:
        layer: one of `GLOBAL_POOLS`.
        clips: the one frame of this step.
        memory: the state.
    """
    frames = memory.only_frame(layer, clips)
    if isinstance(layer, layers.GlobalMaxPooling3D):
        pooled = _maximum(layer, ops.max(frames, axis=(1, 2)), memory)
    else:
        values = ops.mean(frames, axis=(1, 2))
        pooled = _average(memory.name(layer, "mean"), values, memory)
    if isinstance(layer, GlobalDeviationPooling3D):
        if not layer.causal:
            raise StreamingError(layer, "is not causal")
        name, deviation = memory.name(layer, "deviation"), ops.abs(values - pooled)
        deviation = _average(name, deviation, memory)
        return ops.concatenate([pooled, deviation], axis=-1)
    if layer.keepdims:
        return ops.reshape(pooled, (-1, 1, 1, 1, pooled.shape[-1])[-len(clips.shape) :])
    return pooled


def _average(name: str, values: Any, memory: Memory) -> Any:
    """Returns the average of vectors, (batch, channels)."""
    options = memory.options
    if options.average_over == "window":
        past = memory.recall(name, (options.average_steps - 1, values.shape[-1]))
        seen = ops.concatenate([past, values[:, None]], axis=1)
        memory.after[name] = seen[:, 1:]
        return ops.sum(seen, axis=1) / ops.minimum(memory.steps, float(options.average_steps))
    share = 1.0 / memory.steps
    if options.average_over == "exponential":
        share = ops.maximum(share, options.average_rate)
    past = memory.recall(name, values.shape[1:])
    memory.after[name] = average = past + (values - past) * share
    return average


def _maximum(layer: Any, values: Any, memory: Memory) -> Any:
    """Returns the maximum of vectors, (batch, channels)."""
    options, name = memory.options, memory.name(layer, "maximum")
    if options.average_over == "exponential":
        raise StreamingError(
            layer, "takes a maximum, for which `average_over` must be mean or window"
        )
    if options.average_over == "window":
        past = memory.recall(name, (options.average_steps - 1, values.shape[-1]))
        seen = ops.concatenate([memory.or_first(past, values[:, None]), values[:, None]], axis=1)
        memory.after[name] = seen[:, 1:]
        return ops.max(seen, axis=1)
    past = memory.or_first(memory.recall(name, values.shape[1:]), values)
    memory.after[name] = maximum = ops.maximum(past, values)
    return maximum
