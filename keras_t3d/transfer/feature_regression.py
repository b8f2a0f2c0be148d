"""Distillation: the student predicts the teacher's averaged features."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.layers.precision import exact_dtype
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.other_videos import other_videos


class FeatureRegression(FrameClipLearner):
    """Teaches a 3D network to predict what a 2D network says of a clip's frames.

    ```
    frames = mean over time of teacher(frame)
    loss   = mean over features of (dense(student(clip)) - frames)^2
    ```

    Not of the papers. Its metric `retrieval` is the share of clips whose prediction is nearer to
    their own frames than to those of every other video in the batch, over all devices: chance is
    about one by the batch size.

    Args:
        teacher: FrameTeacher.
        student: VideoClassifier. It is trained in place: save `student` when done.
        accumulation: int. See `keras_t3d.optimization.learner.Learner`. Defaults to `1`.

    Raises:
        ValueError: if student or teacher are of another kind.

    Example:

    ```python
    regression = FeatureRegression(keras_t3d.transfer.load_teacher("DenseNet121"), student)
    regression.compile("adam")
    regression.fit(clips, epochs=10)  # of load_unlabelled_clips
    ```

    Reference:
        Romero et al., "FitNets: Hints for Thin Deep Nets", 2015,
        https://arxiv.org/abs/1412.6550
    """

    hits_name = "retrieval"

    def __init__(
        self, teacher: FrameTeacher, student: VideoClassifier, accumulation: int = 1
    ) -> None:
        super().__init__(teacher, student, accumulation)
        dtype = exact_dtype(student.dtype_policy)
        self._predict = keras.layers.Dense(teacher.width, dtype=dtype, name="frame_features")
        self._predict.build(self._embed.output_shape)
        self._head = [self._predict]

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Predicts the features of each clip's frames.

        Args:
            inputs: dict of `"clips"`, `"videos"` and maybe `"frame_features"`.
            training: bool. Whether the student runs in training mode.

        Returns:
            Dict of `"errors"`, `(batch,)`, mean squared; `"nearest_other"`, `(batch,)`, that
            to the nearest frames of another video; and `"weights"`.
        """
        clips, frames = self._features(inputs, training)
        predicted = ops.cast(self._predict(clips), "float32")
        errors = ops.mean(ops.square(predicted - frames), axis=-1)
        (all_frames, all_videos), _ = self.over_devices((frames, inputs["videos"]))
        others = other_videos(inputs["videos"], all_videos)
        distances = _squared_distances(ops.stop_gradient(predicted), all_frames)
        nearest = ops.min(ops.where(others, distances, _FAR), axis=1)
        weights = ops.cast(inputs["videos"] >= 0, "float32")
        return {"errors": errors, "nearest_other": nearest, "weights": weights}

    def _clip_losses(self, outputs: dict[str, Any]) -> Any:
        return outputs["errors"]

    def _clip_hits(self, outputs: dict[str, Any]) -> Any:
        return ops.cast(outputs["errors"] < outputs["nearest_other"], "float32")


_FAR = 1e30


def _squared_distances(a: Any, b: Any) -> Any:
    """Mean squared differences of all rows: (a, b)."""
    products = ops.matmul(a, ops.transpose(b))
    squares = ops.sum(ops.square(a), -1)[:, None] + ops.sum(ops.square(b), -1)[None]
    return (squares - 2.0 * products) / a.shape[-1]
