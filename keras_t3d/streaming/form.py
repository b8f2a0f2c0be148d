"""The streaming form of a causal model, which follows from its layers."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipConv3D, ClipMaxPooling3D, SpatioTemporalChannelCorrelation
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.operations.padding import Padding
from keras_t3d.models.composition import composition, in_order
from keras_t3d.private_interfaces import computing_in_float32, flatten_layers, output_specs
from keras_t3d.streaming.averages import GLOBAL_POOLS, pool
from keras_t3d.streaming.memory import Memory
from keras_t3d.streaming.options import StreamOptions
from keras_t3d.streaming.state_check import check_state
from keras_t3d.streaming.temporal_layers import check_reads_own_frames

State = dict[str, Any]


class StreamingForm:
    """A causal model as a function of a few frames and of a state.

    Whatever the video's length, each frame is computed once. If features are averaged over all
    steps, the outputs are those of the model for a clip of all frames so far. Layers act as in
    inference and compute in float32, on any Keras backend.

    Args:
        model: functional `keras.Model` with one input of shape
            `(batch, frames, height, width, channels)`. Its weights may change later.
        options: which frames a prediction is about; None for the mean over all.

    Attributes:
        frames_per_step: frames that a step takes: the product of the strides over time.
        state_shapes: shapes by name of what is kept from step to step, without the batch.

    Raises:
        StreamingError: if a layer reads later frames, or none is known to read none.

    Example:

    ```python
    model = keras_t3d.models.T3DLite0((16, 64, 64, 3), num_classes=2, causal=True)
    stream = StreamingForm(model)
    state = stream.initial_state(batch=1)
    frames = np.zeros((1, stream.frames_per_step, 64, 64, 3), "uint8")
    logits, state = stream.step(frames, state)
    ```
    """

    def __init__(self, model: keras.Model, options: StreamOptions | None = None) -> None:
        self.model = model
        self.options = options or StreamOptions()
        self._frame_shape = tuple(model.inputs[0].shape[2:])
        many = math.prod(_strides_over_time(model))
        counts: list[int] = []
        specs = self._specs(many, functools.partial(_Counting, counts))
        self.frames_per_step = many // max(counts, default=1)
        if self.frames_per_step != many:  # strides in parallel
            specs = self._specs(self.frames_per_step, Memory)
        self.state_shapes = {name: tuple(spec.shape[1:]) for name, spec in specs.items()}

    def initial_state(self, batch: int = 1) -> State:
        """Returns the state before the first frame: zeros.

        Args:
            batch: number of videos.
        """
        return {name: ops.zeros((batch, *shape)) for name, shape in self.state_shapes.items()}

    def describe(self) -> dict[str, Any]:
        """Returns what a caller of a step needs to know, as plain values."""
        return {
            "frames_per_step": self.frames_per_step,
            "state": {name: list(shape) for name, shape in self.state_shapes.items()},
            "reset": "fill the state with zeros: with the zero point where it is quantized",
            **dataclasses.asdict(self.options),
        }

    def step(self, frames: Any, state: Mapping[str, Any]) -> tuple[Any, State]:
        """Computes the next frames of each video.

        Args:
            frames: pixels with values 0..255, of shape
                `(batch, frames_per_step, height, width, channels)`.
            state: the state after the frames before, or the initial one.

        Returns:
            The model's outputs for what was seen so far, and the state after the frames.

        Raises:
            InvalidArgumentError: if the frames are more or fewer, or the state is not of this form.
        """
        self._check(frames, state)
        memory = Memory(self.model, self.options, state)
        return self._compute(frames, memory), memory.after

    def _check(self, frames: Any, state: Mapping[str, Any]) -> None:
        shape = (self.frames_per_step, *self._frame_shape)
        if tuple(frames.shape[1:]) != shape:
            raise InvalidArgumentError(
                f"`frames` must be of shape (batch, {', '.join(map(str, shape))}). Received: "
                f"{tuple(frames.shape)}",
                argument="frames",
            )
        check_state(
            {name: tuple(tensor.shape[1:]) for name, tensor in state.items()}, self.state_shapes
        )

    def _compute(self, frames: Any, memory: Memory) -> Any:
        with computing_in_float32(self.model):
            apply = functools.partial(self._apply, memory)
            return apply(self.model, ops.cast(frames, "float32"))

    def _apply(self, memory: Memory, layer: Any, *inputs: Any, **options: Any) -> Any:
        """Runs one layer."""
        inputs, options = in_order(layer, inputs, options)
        compute = composition(layer, functools.partial(self._apply, memory))
        if compute is not None:
            return compute(*inputs)
        if type(layer) is ClipConv3D:
            clips, time_padding = memory.extend(layer, inputs[0])
            return layer.convolve(clips, Padding(layer.padding, time_padding), *layer.tensors())
        if type(layer) is ClipMaxPooling3D:
            # What is kept is smaller after the pool over each frame.
            return layer.pool_time(*memory.extend(layer, layer.pool_frames(inputs[0])))
        if type(layer) is SpatioTemporalChannelCorrelation:
            means = memory.means(layer, layer.frame_means(inputs[0]))
            return layer.scale_by_means(inputs[0], means, *layer.tensors())
        if type(layer) in GLOBAL_POOLS:
            return pool(layer, inputs[0], memory)
        if any(len(x.shape) == 5 for x in keras.tree.flatten(inputs) if hasattr(x, "shape")):
            check_reads_own_frames(layer)
        return layer(*inputs, **options)

    def _specs(self, frames: int, memory_class: Callable[..., Memory]) -> State:
        """Returns shapes and types of the state, without computing it."""

        def step(clips: Any) -> State:
            memory = memory_class(self.model, self.options, None)
            self._compute(clips, memory)
            return memory.after

        specs: State = output_specs(step, (1, frames, *self._frame_shape))
        return specs


class _Counting(Memory):
    """Counts the frames that reach the end of the network.

    Args:
        counts: receives them.
        *arguments: as for Memory.
    """

    def __init__(self, counts: list[int], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._counts = counts

    def only_frame(self, layer: Any, clips: Any) -> Any:
        self._counts.append(clips.shape[1])
        return clips[:, 0]


def _strides_over_time(model: keras.Model) -> list[int]:
    simple = (each for each in flatten_layers(model) if not isinstance(each, CompositeLayer))
    strides = (getattr(layer, "strides", 1) for layer in simple)
    return [stride[0] for stride in strides if isinstance(stride, (tuple, list))]
