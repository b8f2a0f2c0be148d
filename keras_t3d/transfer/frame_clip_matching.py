"""The papers' transfer: do these frames and this clip belong together?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.other_videos import next_other_videos


class FrameClipMatching(FrameClipLearner):
    """Teaches a 3D network to tell whether a 2D network saw the same clip.

    ```
    frames = mean over time of teacher(frame)         a dense layer to `features` where
    clip   = student(clip)                            the width is another
    score  = dense(1, dense(hidden[1], dense(hidden[0], concat(frames, clip))))
    loss   = 1/2 * BCE(score of own frames, match)
           + 1/2 * mean over the negatives of BCE(score, no match)
    ```

    Open in the papers, and chosen here: both networks see the same frames, crop and flip; a
    clip's negatives are the frames of the next clips in the batch that are of other videos,
    `negatives` for one positive, which together weigh as much as it does; ReLU after the hidden
    layers and none after the projections; one score with a sigmoid. A batch in which all clips
    are of one video teaches nothing.

    Its metric `match_accuracy` is the mean of how many positives and how many negatives
    are told right: 0.5 is chance.

    Args:
        teacher: FrameTeacher.
        student: VideoClassifier. It is trained in place: save `student` when done.
        features: int. Width of both halves of a pair. Defaults to `1024`.
        hidden: ints. Widths of the dense layers. Defaults to `(512, 128)`.
        negatives: int. Negative pairs for each positive one. Defaults to `1`.
        accumulation: int. See `keras_t3d.optimization.learner.Learner`; pairs are made within a
            part. Defaults to `1`.

    Raises:
        ValueError: if student or teacher are of another kind, or a number is below 1.

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

    hits_name = "match_accuracy"

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
                raise ValueError(
                    f"FrameClipMatching: `{name}` must be whole numbers from 1, as by default "
                    f"features=1024, hidden=(512, 128), negatives=1. Received: {name}={values}"
                )
        self.negatives = negatives
        self._project_clips = _projection("project_clips", self._embed.output_shape[-1], features)
        self._project_frames = _projection("project_frames", teacher.width, features)
        # In float32, as all that the student's pooled features pass.
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

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Scores each clip with its own frames and with those of other videos.

        Args:
            inputs: dict of `"clips"`, `"videos"` and maybe `"frame_features"`.
            training: bool. Whether the student runs in training mode.

        Returns:
            Dict of `"scores"`, `(batch, 1 + negatives)`, logits of a match, the own one first;
            `"negative"`, of shape `(batch, negatives)`, 1 where there is one, else 0; and
            `"weights"`.
        """
        clips, frames = self._features(inputs, training)
        (all_frames, all_videos), start = self.over_devices((frames, inputs["videos"]))
        chosen, found = next_other_videos(inputs["videos"], all_videos, start, self.negatives)
        others = ops.take(all_frames, chosen, axis=0)
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
        return {
            "scores": scores[..., 0],
            "negative": found,
            "weights": ops.max(found, axis=1),
        }

    def _clip_losses(self, outputs: dict[str, Any]) -> Any:
        own, others = outputs["scores"][:, 0], outputs["scores"][:, 1:]
        return _half_each(ops.softplus(-own), ops.softplus(others), outputs["negative"])

    def _clip_hits(self, outputs: dict[str, Any]) -> Any:
        right = outputs["scores"] > 0
        own = ops.cast(right[:, 0], "float32")
        return _half_each(own, 1.0 - ops.cast(right[:, 1:], "float32"), outputs["negative"])


def _projection(name: str, width: int, features: int) -> Any:
    """A dense layer from `width` to `features`, or None where they are the same."""
    if width == features:
        return None
    layer = keras.layers.Dense(features, dtype="float32", name=name)
    layer.build((None, width))
    return layer


def _half_each(positive: Any, negatives: Any, is_there: Any) -> Any:
    """The mean of a positive and of the mean of its negatives."""
    count = ops.maximum(ops.sum(is_there, axis=1), 1.0)
    return 0.5 * positive + 0.5 * ops.sum(negatives * is_there, axis=1) / count
