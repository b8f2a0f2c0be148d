"""Distillation: the student regresses the teacher's averaged features."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.negatives import different_videos, global_indices


class FeatureRegression(FrameClipLearner):
    """Trains a 3D network to predict the 2D features of a clip's frames.

    ```
    frames = mean over time of teacher(frame)
    loss   = mean over features of (dense(student(clip)) - frames)^2
    ```

    This objective is not from the T3D papers. Its metric `retrieval` is the share of clips whose
    prediction is closer to their own frames than to those of every other video in the batch, over
    all devices; at chance, it is about 1 divided by the batch size.

    Args:
        teacher: the frozen teacher.
        student: the network to train, in place: save `student` after training.
        accumulation: number of parts of a batch whose gradients are accumulated, see
            `keras_t3d.optimization.learner.Learner`.

    Raises:
        InvalidArgumentError: if the student or the teacher has the wrong type.

    Example:

    ```python
    student = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), include_top=False)
    regression = FeatureRegression(keras_t3d.transfer.load_teacher("DenseNet121"), student)
    regression.compile("adam")
    clips = keras_t3d.data.load_clips(
        "shards", "train", student.clip_spec, batch_size=32, training=True, labelled=False
    )
    regression.fit(clips, epochs=10)
    ```

    Reference:
        Romero et al., "FitNets: Hints for Thin Deep Nets", 2015,
        https://arxiv.org/abs/1412.6550
    """

    metric_name = "retrieval"

    def __init__(
        self, teacher: FrameTeacher, student: VideoClassifier, accumulation: int = 1
    ) -> None:
        super().__init__(teacher, student, accumulation)
        self._predict = keras.layers.Dense(teacher.width, dtype="float32", name="frame_features")
        self._predict.build(self._embed.output_shape)
        self._head = [self._predict]

    def _compare(
        self, clips: Any, frames: Any, videos: Any, all_frames: Any, all_videos: Any, start: Any
    ) -> dict[str, Any]:
        """Predicts the features of each clip's frames.

        Returns:
            Dict of tensors `(batch,)`: `"errors"`, mean squared errors; `"own"` and
            `"nearest_other"`, distances to the clip's own frames and to the nearest frames of
            another video; and `"weights"`.
        """
        predicted = self._predict(clips)
        distances = _distances(ops.stop_gradient(predicted), all_frames)
        indices = global_indices(videos, start)
        others = different_videos(videos, all_videos)
        return {
            "errors": ops.mean(ops.square(predicted - frames), axis=-1),
            "own": ops.take_along_axis(distances, indices[:, None], axis=1)[:, 0],
            "nearest_other": ops.min(ops.where(others, distances, _FAR), axis=1),
            "weights": ops.cast(videos >= 0, "float32"),
        }

    def _loss_per_clip(self, outputs: dict[str, Any]) -> Any:
        return outputs["errors"]

    def _metric_per_clip(self, outputs: dict[str, Any]) -> Any:
        return ops.cast(outputs["own"] < outputs["nearest_other"], "float32")


_FAR = 1e30


def _distances(predicted: Any, frames: Any) -> Any:
    """Returns mean squared differences, `(predicted, frames)`, without a constant per prediction.

    The constant does not change which frames are nearest. The mean of the frames is subtracted
    first, or small differences between large features would be lost to rounding.
    """
    mean = ops.mean(frames, axis=0)
    frames, predicted = frames - mean, predicted - mean
    products = ops.matmul(predicted, ops.transpose(frames))
    return (ops.sum(ops.square(frames), -1)[None] - 2.0 * products) / predicted.shape[-1]
