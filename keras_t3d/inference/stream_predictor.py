"""Predictors of streams: step by step, and of clips as for any model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.inference.predictor import validate_clips


class Steps(Protocol):
    """A stream as a function of frames and state; implemented for Keras, SavedModel and LiteRT."""

    def initial_state(self) -> Mapping[str, Any]:
        """Returns the state before the first frame."""
        ...

    def __call__(
        self, frames: np.ndarray, state: Mapping[str, Any]
    ) -> tuple[np.ndarray, Mapping[str, Any]]:
        """Maps uint8 frames (1, frames per step, height, width, 3) and the state before them to
        float32 probabilities (1, classes) and the state after them."""
        ...


@dataclasses.dataclass
class StreamPredictor:
    """A model that streams, which is a Predictor of clips too.

    Args:
        steps: the function that computes a step.
        class_names: one name per class.
        clip_spec: size and spacing of the frames.
        frames_per_step: frames that a step takes.
    """

    steps: Steps
    class_names: tuple[str, ...]
    clip_spec: ClipSpec
    frames_per_step: int

    def __post_init__(self) -> None:
        # The first step takes long, and the frames of a camera would not wait for it.
        frames = np.zeros((1, self.frames_per_step, *self.clip_spec.input_shape[1:]), np.uint8)
        self.steps(frames, self.steps.initial_state())

    @property
    def steps_per_clip(self) -> int:
        """Number of whole steps in a clip, at least 1."""
        return max(self.clip_spec.num_frames // self.frames_per_step, 1)

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """Returns the answer at the end of each clip, from a state of its own."""
        clips = validate_clips(clips, self.clip_spec)
        return np.concatenate(
            [self.continued().probabilities(self._cut(clip))[-1:] for clip in clips]
        )

    def continued(self) -> ContinuedStream:
        """Returns a predictor of successive steps of one video."""
        return ContinuedStream(self)

    def _cut(self, clip: np.ndarray) -> np.ndarray:
        """Returns the whole steps of a clip, (steps, frames per step, height, width, 3)."""
        count = self.steps_per_clip
        return clip[: count * self.frames_per_step].reshape((count, -1, *clip.shape[1:]))


class ContinuedStream:
    """A predictor whose clips are successive steps of one video.

    Args:
        predictor: the model.

    Attributes:
        clip_spec: the frames of a step.
        steps_per_clip: steps in a clip of the model.
    """

    def __init__(self, predictor: StreamPredictor) -> None:
        self.class_names = predictor.class_names
        self.clip_spec = dataclasses.replace(
            predictor.clip_spec, num_frames=predictor.frames_per_step
        )
        self.steps_per_clip = predictor.steps_per_clip
        self._steps = predictor.steps
        self.reset()

    def reset(self) -> None:
        """Forgets all frames."""
        self._state = self._steps.initial_state()

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        """Returns the answer after each step, float32 (steps, classes)."""
        return np.concatenate(list(self._answers(validate_clips(clips, self.clip_spec))))

    def _answers(self, steps: np.ndarray) -> Iterator[np.ndarray]:
        for frames in steps:
            answer, self._state = self._steps(frames[None], self._state)
            yield answer
