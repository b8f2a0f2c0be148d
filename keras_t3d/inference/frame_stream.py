"""Classifies the frames of a camera or video as they come, each computed once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_t3d.clips import take_view
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.load import load_stream


class Stream:
    """A model that answers at every step of a video, for one video at a time.

    Frames of any size are resized and cropped as for clips, and of all frames every
    `clip_spec.frame_stride`-th is read; with `clip_spec.fps`, push frames of that rate.

    Args:
        model: a causal VideoClassifier, a StreamPredictor, or the path of a `.keras` file of one,
            or of a SavedModel folder or `.tflite` file that was exported with `streaming`.
        options: what the answer of a Keras model is about, see `keras_t3d.streaming.StreamOptions`;
            exported ones have theirs.

    Attributes:
        class_names: one name per class.
        clip_spec: size and spacing of the frames.
        frames_per_step: frames that a step takes, of those that are read.

    Raises:
        InvalidArgumentError: if the model cannot be loaded, or predicts clips only.
        StreamingError: if a Keras model is not causal.

    Example:

    ```python
    model = keras_t3d.models.T3DLite0((16, 64, 64, 3), num_classes=2, causal=True)
    stream = Stream(model)
    for frame in np.zeros((8, 240, 320, 3), "uint8"):
        probabilities = stream.push(frame)  # None, until there is an answer
    stream.reset()  # before another video
    ```
    """

    def __init__(self, model: Any, options: Any = None) -> None:
        predictor = load_stream(model, options)
        self.class_names, self.clip_spec = predictor.class_names, predictor.clip_spec
        self.frames_per_step = predictor.frames_per_step
        self._frame_spec = dataclasses.replace(self.clip_spec, num_frames=1)
        self._predictor = predictor.continued()
        self.reset()

    def reset(self) -> None:
        """Forgets all frames: the next one is the first of a video."""
        self._predictor.reset()
        self._held: list[np.ndarray] = []
        self._count = 0
        self._shape: tuple[int, ...] | None = None
        self._latest: np.ndarray | None = None

    def push(self, frames: np.ndarray) -> np.ndarray | None:
        """Adds the next frames, as many as there are.

        Args:
            frames: uint8 pixels, RGB, of shape (frames, height, width, 3), or of one frame.

        Returns:
            Probabilities of what was seen so far, float32 (classes,), as of the last whole step;
            None before the first. Frames of a step that is not whole are held.

        Raises:
            InvalidArgumentError: if `frames` are of another dtype or shape, or of another size than
                those before.
        """
        for frame in self._checked(frames):
            if self._count % self.clip_spec.frame_stride == 0:
                self._held.append(take_view(frame[None], self._frame_spec)[0])
            self._count += 1
            if len(self._held) == self.frames_per_step:
                step = np.stack(self._held)[None]
                self._held = []
                self._latest = self._predictor.probabilities(step)[0]
        return self._latest

    def _checked(self, frames: Any) -> np.ndarray:
        frames = np.asarray(frames)
        frames = frames[None] if frames.ndim == 3 else frames
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise InvalidArgumentError(
                "`frames` must be uint8 RGB pixels of shape (frames, height, width, 3), or of one "
                f"frame, (height, width, 3). Received: {frames.dtype} of shape {frames.shape}",
                argument="frames",
            )
        size = frames.shape[1:3]
        if self._shape not in (None, size):
            raise InvalidArgumentError(
                f"`frames` must have the size of those before, {self._shape[0]} x "
                f"{self._shape[1]}: call `reset()` before another video. Received: "
                f"{size[0]} x {size[1]}",
                argument="frames",
            )
        self._shape = size
        return frames
