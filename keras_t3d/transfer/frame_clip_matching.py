"""The supervision transfer of the T3D paper: do frames and clip match?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.negatives import select_negatives


class FrameClipMatching(FrameClipLearner):
    """Trains a 3D network to predict whether frames and clip are of the same video.

    ```
    frames = mean over time of teacher(frame)         projected to `features` if they have
    clip   = student(clip)                            another width
    score  = dense(1, dense(hidden[1], dense(hidden[0], concat(frames, clip))))
    loss   = 1/2 * BCE(score of own frames, match)
           + 1/2 * mean over the negatives of BCE(score, no match)
    ```

    The papers leave open, and this implementation chooses: both networks see the same frames,
    crop and flip; the negatives of a clip are the frames of the next `negatives` clips in the
    batch that are of other videos, and together have the weight of the positive pair; ReLU after
    the hidden layers and none after the projections; one score with a sigmoid. A batch of clips
    of a single video has no negatives and is not learned from.

    Its metric `match_accuracy` is the mean of the accuracies of positive and negative pairs, 0.5
    at chance.

    Args:
        teacher: the frozen teacher.
        student: the network to train, in place: save `student` after training.
        features: width of each half of a pair.
        hidden: widths of the hidden dense layers.
        negatives: negative pairs per positive pair.
        accumulation: number of parts of a batch whose gradients are accumulated, see
            `keras_t3d.optimization.learner.Learner`. Pairs are made within a part.

    Raises:
        InvalidArgumentError: if the student or the teacher has the wrong type, or a number is
            below 1.

    Example:

    ```python
    teacher = keras_t3d.transfer.load_teacher("DenseNet121")
    student = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), include_top=False)
    clips = keras_t3d.data.load_clips(
        "shards", "train", student.clip_spec, batch_size=32, training=True, labelled=False
    )
    matching = FrameClipMatching(teacher, student)
    matching.compile(keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True))
    matching.fit(clips, epochs=10)
    student.save("student.keras")
    ```

    Reference:
        Diba et al., "Temporal 3D ConvNets", 2017, https://arxiv.org/abs/1711.08200, section 3.3
    """

    metric_name = "match_accuracy"

    def __init__(
        self,
        teacher: FrameTeacher,
        student: VideoClassifier,
        features: int = 1024,
        hidden: Sequence[int] = (512, 128),
        negatives: int = 1,
        accumulation: int = 1,
    ) -> None:
        super().__init__(teacher, student, accumulation)
        for name, values in (
            ("features", [features]),
            ("hidden", list(hidden)),
            ("negatives", [negatives]),
        ):
            if not values or not all(type(value) is int and value >= 1 for value in values):
                raise InvalidArgumentError(
                    f"FrameClipMatching: `{name}` must be at least 1, for example features=1024, "
                    f"hidden=(512, 128), negatives=1. Received: {name}={values}",
                    argument=name,
                )
        self.negatives = negatives
        self._project_clips = _projection("project_clips", self._embed.output_shape[-1], features)
        self._project_frames = _projection("project_frames", teacher.width, features)
        # In float32, as all layers after the student's pooled features.
        self._hidden = [
            keras.layers.Dense(width, activation="relu", dtype="float32", name=f"match{number}")
            for number, width in enumerate(hidden, 1)
        ]
        self._score = keras.layers.Dense(1, dtype="float32", name="match_score")
        width = 2 * features
        for layer in (*self._hidden, self._score):
            layer.build((None, None, width))
            width = layer.units
        projections = (self._project_clips, self._project_frames)
        self._head = [layer for layer in projections if layer is not None]
        self._head += [*self._hidden, self._score]

    def _compare(
        self, clips: Any, frames: Any, videos: Any, all_frames: Any, all_videos: Any, start: Any
    ) -> dict[str, Any]:
        """Scores each clip with its own frames and with those of other videos.

        Returns:
            Dict of `"scores"`, `(batch, 1 + negatives)`, logits of a match, that of the clip's
            own frames first; `"negative"`, `(batch, negatives)`, 1 for a negative pair and 0
            where there is none; and `"weights"`.
        """
        selected, found = select_negatives(videos, all_videos, start, self.negatives)
        others = ops.take(all_frames, selected, axis=0)
        paired = ops.concatenate([frames[:, None], others], axis=1)
        if self._project_frames is not None:
            paired = self._project_frames(paired)
        if self._project_clips is not None:
            clips = self._project_clips(clips)
        clips = ops.broadcast_to(clips[:, None], ops.shape(paired))
        scores = ops.concatenate([paired, clips], axis=-1)
        for layer in (*self._hidden, self._score):
            scores = layer(scores)
        found = ops.cast(found, "float32")
        return {"scores": scores[..., 0], "negative": found, "weights": ops.max(found, axis=1)}

    def _loss_per_clip(self, outputs: dict[str, Any]) -> Any:
        own, others = outputs["scores"][:, 0], outputs["scores"][:, 1:]
        return _balance(ops.softplus(-own), ops.softplus(others), outputs["negative"])

    def _metric_per_clip(self, outputs: dict[str, Any]) -> Any:
        predicted = outputs["scores"] > 0
        own = ops.cast(predicted[:, 0], "float32")
        return _balance(own, 1.0 - ops.cast(predicted[:, 1:], "float32"), outputs["negative"])


def _projection(name: str, width: int, features: int) -> Any:
    """Returns a dense layer from `width` to `features`, or None if they are equal."""
    if width == features:
        return None
    layer = keras.layers.Dense(features, dtype="float32", name=name)
    layer.build((None, width))
    return layer


def _balance(positive: Any, negatives: Any, found: Any) -> Any:
    """Returns the mean of a positive pair and of the mean over its negative pairs."""
    count = ops.maximum(ops.sum(found, axis=1), 1.0)
    return 0.5 * positive + 0.5 * ops.sum(negatives * found, axis=1) / count
