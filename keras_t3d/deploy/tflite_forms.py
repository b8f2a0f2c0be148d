"""What a LiteRT file computes: a clip at once, or a step of a stream.

Each form traces its function for the converter, yields inputs for calibration, and returns the
probabilities of Keras and of a file for the same clips.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_t3d.clips import ClipSpec
from keras_t3d.deploy.comparison import as_probabilities, probabilities_of
from keras_t3d.deploy.convolution import Convolve
from keras_t3d.deploy.integer_state import with_integer_state
from keras_t3d.deploy.lowering import lower
from keras_t3d.deploy.network import in_float32
from keras_t3d.deploy.options import TFLiteOptions
from keras_t3d.inference.litert_predictor import LiteRTRunner
from keras_t3d.inference.litert_steps import LiteRTSteps
from keras_t3d.models import VideoClassifier
from keras_t3d.private_interfaces import forget_gradients, quantizer_functions
from keras_t3d.streaming import StreamingForm
from keras_t3d.streaming.memory import Memory

Inputs = dict[str, Any]
LENGTH = 4  # of the videos that a stream is calibrated and compared on, in clips


class LiteRTForm(Protocol):
    """A form of a model in a LiteRT file.

    Attributes:
        model: the model.
        clip_spec: the clips that calibration and comparison take.
        vector_inputs: names of inputs that are vectors, which are too coarse in 8 bits.
    """

    model: VideoClassifier
    clip_spec: ClipSpec
    vector_inputs: tuple[str, ...]

    @property
    def stream(self) -> StreamingForm | None:
        """The streaming form of the model; None if the file computes clips."""
        ...

    def trace(self, convolve: Convolve, dtype: Any) -> Any:
        """Returns the concrete function, for pixels of a dtype."""
        ...

    def calibration_inputs(self, clips: np.ndarray) -> Iterator[Inputs]:
        """Yields typical inputs, in floats."""
        ...

    def expected(self, clips: np.ndarray) -> np.ndarray:
        """Returns Keras's probabilities for uint8 clips, (answers, classes)."""
        ...

    def found(self, content: bytes, clips: np.ndarray) -> np.ndarray:
        """Returns a file's probabilities for uint8 clips, (answers, classes)."""
        ...

    def probability_step(self, content: bytes) -> float:
        """Returns the smallest difference between two probabilities of a file; 0 for floats."""
        ...

    def with_integer_inputs(self, content: bytes, output: Any) -> bytes:
        """Returns a quantized file that reads uint8 pixels, and returns `output`'s dtype."""
        ...


def form_of(model: VideoClassifier | LiteRTForm) -> LiteRTForm:
    """Returns a form as it is, or a model as one that reads clips."""
    return ClipForm(model) if isinstance(model, VideoClassifier) else model


def form_for(model: VideoClassifier, options: TFLiteOptions) -> LiteRTForm:
    """Returns the form of a model that export options ask for.

    Raises:
        StreamingError: if it is a stream, and the model is not causal.
    """
    if options.streaming:
        return StepForm(StreamingForm(model, options.stream_options))
    return ClipForm(model)


def number_of_clips(form: LiteRTForm, clips: int) -> int:
    """Returns how many clips of a form have the frames of so many clips of the model."""
    return max(clips * form.model.clip_spec.num_frames // form.clip_spec.num_frames, 1)


class ClipForm:
    """A clip at once: signature `clip` to `probabilities`."""

    stream = None
    vector_inputs: tuple[str, ...] = ()

    def __init__(self, model: VideoClassifier) -> None:
        self.model, self.clip_spec = model, model.clip_spec
        self._compiled = tf.function(in_float32(model), autograph=False)

    def trace(self, convolve: Convolve, dtype: Any) -> Any:
        outputs_of, shape = lower(self.model, convolve), self.model.clip_spec.input_shape
        probabilities = probabilities_of(self.model)

        def classify(clip: tf.Tensor) -> Inputs:
            frames = tf.reshape(clip, shape)
            return {"probabilities": probabilities(outputs_of(tf.cast(frames, tf.float32)))}

        # Without AutoGraph, which would wrap an error of a layer into many lines.
        function = tf.function(classify, autograph=False)
        return function.get_concrete_function(tf.TensorSpec((1, *shape), dtype, name="clip"))

    def calibration_inputs(self, clips: np.ndarray) -> Iterator[Inputs]:
        for clip in _with_full_range(clips):
            yield {"clip": clip[None].astype(np.float32)}

    def expected(self, clips: np.ndarray) -> np.ndarray:
        view = tf.TensorSpec((1, *clips.shape[1:]), tf.uint8)
        forget_gradients(self._compiled.get_concrete_function(view).graph)
        return as_probabilities(self._compiled(tf.constant(clip[None])) for clip in clips)

    def found(self, content: bytes, clips: np.ndarray) -> np.ndarray:
        run = LiteRTRunner(content)
        return np.concatenate([run(clip[None]) for clip in clips])

    def probability_step(self, content: bytes) -> float:
        return LiteRTRunner(content).step

    def with_integer_inputs(self, content: bytes, output: Any) -> bytes:
        return bytes(quantizer_functions()[1](content, tf.uint8, output))


class StepForm:
    """A step of a stream: signature `frames` and the state to `probabilities` and the state.

    Calibration and comparison run over videos of several clips, from the initial state.
    """

    def __init__(self, stream: StreamingForm) -> None:
        self.model: Any = stream.model
        self.clip_spec = dataclasses.replace(
            self.model.clip_spec, num_frames=LENGTH * self.model.clip_spec.num_frames
        )
        self.stream = stream
        self.vector_inputs = tuple(
            name for name, shape in stream.state_shapes.items() if len(shape) < 4
        )

    def trace(self, convolve: Convolve, dtype: Any) -> Any:
        stream, shape = self.stream, self._frames_shape
        probabilities = probabilities_of(self.model)

        def step(frames: tf.Tensor, **state: tf.Tensor) -> Inputs:
            memory = Memory(stream.model, stream.options, state, has_batch=False)
            frames = tf.cast(tf.reshape(frames, shape), tf.float32)
            outputs = lower(stream.model, convolve, memory)(frames)
            return {"probabilities": probabilities(outputs), **memory.after}

        return tf.function(step, autograph=False).get_concrete_function(
            frames=tf.TensorSpec((1, *shape), dtype),
            **{name: tf.TensorSpec((1, *size)) for name, size in stream.state_shapes.items()},
        )

    def calibration_inputs(self, clips: np.ndarray) -> Iterator[Inputs]:
        for frames, state, _ in self._steps_of_keras(_with_full_range(clips)):
            values = {name: value.numpy() for name, value in state.items()}
            yield {"frames": frames.astype(np.float32), **values}

    def expected(self, clips: np.ndarray) -> np.ndarray:
        return as_probabilities(outputs for *_, outputs in self._steps_of_keras(clips))

    def found(self, content: bytes, clips: np.ndarray) -> np.ndarray:
        return self.answers(LiteRTSteps(content), clips)

    def answers(self, run: Any, clips: np.ndarray) -> np.ndarray:
        """Returns the probabilities of an artifact's steps for uint8 clips, (answers, classes)."""
        steps = self._steps(run, run.initial_state(), clips)
        return np.concatenate([probabilities for *_, probabilities in steps])

    def probability_step(self, content: bytes) -> float:
        return 0.0

    def with_integer_inputs(self, content: bytes, output: Any) -> bytes:
        return with_integer_state(content)

    @property
    def _frames_shape(self) -> tuple[int, ...]:
        return (self.stream.frames_per_step, *self.model.clip_spec.input_shape[1:])

    @functools.cached_property
    def _compiled(self) -> Any:
        return tf.function(self.stream.step, autograph=False)

    def _steps_of_keras(self, clips: Iterable[np.ndarray]) -> Iterator[tuple[Any, Any, Any]]:
        return self._steps(self._compiled, self.stream.initial_state(), clips)

    def _steps(
        self, run: Callable[..., Any], first: Any, clips: Iterable[np.ndarray]
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Yields the frames of each step, (1, n, H, W, 3), the state before it and its answer.

        Args:
            run: maps frames and state to the answer and the state after them.
            first: state before each clip.
            clips: uint8 clips.
        """
        size = self.stream.frames_per_step
        for clip in clips:
            state = first
            for start in range(0, len(clip) - size + 1, size):
                frames = clip[None, start : start + size]
                answer, after = run(frames, state)
                yield frames, state, answer
                state = after


def _with_full_range(clips: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the clips, of which the first has a black and a white pixel.

    So the input's range is 0..255, and pixel values are not rounded.
    """
    first = clips[0].copy()
    first[0, 0, :2] = [[0], [255]]
    yield first
    yield from clips[1:]
