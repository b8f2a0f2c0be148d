"""Distillation: the student predicts the teacher's averaged features."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.other_videos import other_videos, own_places


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
    regression.fit(clips, epochs=10)  # of load_clips with labelled=False
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
        self._predict = keras.layers.Dense(teacher.width, dtype="float32", name="frame_features")
        self._predict.build(self._embed.output_shape)
        self._head = [self._predict]

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Predicts the features of each clip's frames.

        Args:
            inputs: dict of `"clips"`, `"videos"` and maybe `"frame_features"`.
            training: bool. Whether the student runs in training mode.

        Returns:
            Dict of `"errors"`, `(batch,)`, mean squared; `"own"` and `"nearest_other"`,
            `(batch,)`, distances to the clip's own frames and to the nearest of another
            video; and `"weights"`.
        """
        clips, frames = self._features(inputs, training)
        predicted = self._predict(clips)
        (all_frames, all_videos), start = self.over_devices((frames, inputs["videos"]))
        distances = _distances(ops.stop_gradient(predicted), all_frames)
        places = own_places(inputs["videos"], start)
        others = other_videos(inputs["videos"], all_videos)
        return {
            "errors": ops.mean(ops.square(predicted - frames), axis=-1),
            "own": ops.take_along_axis(distances, places[:, None], axis=1)[:, 0],
            "nearest_other": ops.min(ops.where(others, distances, _FAR), axis=1),
            "weights": ops.cast(inputs["videos"] >= 0, "float32"),
        }

    def _clip_losses(self, outputs: dict[str, Any]) -> Any:
        return outputs["errors"]

    def _clip_hits(self, outputs: dict[str, Any]) -> Any:
        return ops.cast(outputs["own"] < outputs["nearest_other"], "float32")


_FAR = 1e30


def _distances(predicted: Any, frames: Any) -> Any:
    """Mean squared differences of all rows, `(predicted, frames)`, less a term of each row.

    What a prediction's distances have in common does not say which is the nearest. Around the
    frames' mean, features that hardly differ are not lost beside their size.
    """
    mean = ops.mean(frames, axis=0)
    frames, predicted = frames - mean, predicted - mean
    products = ops.matmul(predicted, ops.transpose(frames))
    return (ops.sum(ops.square(frames), -1)[None] - 2.0 * products) / predicted.shape[-1]
