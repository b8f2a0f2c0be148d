"""Contrastive training of frames and clips: InfoNCE over the batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.negatives import different_videos, global_indices


class FrameClipContrast(FrameClipLearner):
    """Trains a 3D network to identify a clip's own frames among those of other videos.

    ```
    clip, frames = normalised projections of the student's and the teacher's features
    loss         = -log softmax(clip . frames / temperature)[own frames]
    ```

    over the frames of all clips of other videos in the batch, on all devices. This objective is
    not from the T3D papers. Its metric `retrieval` is the share of clips whose own frames score
    highest; at chance, it is about 1 divided by the batch size.

    Args:
        teacher: the frozen teacher.
        student: the network to train, in place: save `student` after training.
        features: number of features of the projections.
        temperature: temperature of the softmax, above 0.
        accumulation: number of parts of a batch whose gradients are accumulated, see
            `keras_t3d.optimization.learner.Learner`. Clips are compared within a part.

    Raises:
        InvalidArgumentError: if the student or the teacher has the wrong type, or a value is out
            of its range.

    Example:

    ```python
    student = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), include_top=False)
    contrast = FrameClipContrast(keras_t3d.transfer.load_teacher("DenseNet121"), student)
    contrast.compile("adam")
    clips = keras_t3d.data.load_clips(
        "shards", "train", student.clip_spec, batch_size=32, training=True, labelled=False
    )
    contrast.fit(clips, epochs=10)
    ```

    Reference:
        van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018,
        https://arxiv.org/abs/1807.03748
    """

    metric_name = "retrieval"

    def __init__(
        self,
        teacher: FrameTeacher,
        student: VideoClassifier,
        features: int = 128,
        temperature: float = 0.1,
        accumulation: int = 1,
    ) -> None:
        super().__init__(teacher, student, accumulation)
        if type(features) is not int or features < 1 or not temperature > 0:
            raise InvalidArgumentError(
                "FrameClipContrast: `features` must be an integer of at least 1 and `temperature` "
                "above 0, for example features=128, temperature=0.1. "
                f"Received: features={features!r}, temperature={temperature!r}"
            )
        self.temperature = temperature
        # In float32, as all layers after the student's pooled features.
        self._project_clips = keras.layers.Dense(features, dtype="float32", name="project_clips")
        self._project_frames = keras.layers.Dense(features, dtype="float32", name="project_frames")
        self._project_clips.build(self._embed.output_shape)
        self._project_frames.build((None, teacher.width))
        self._head = [self._project_clips, self._project_frames]

    def _compare(
        self, clips: Any, frames: Any, videos: Any, all_frames: Any, all_videos: Any, start: Any
    ) -> dict[str, Any]:
        """Compares each clip with its own frames and with those of all other videos.

        Returns:
            Dict of `"own"`, `(batch,)`, and `"others"`, `(batch, all)`: similarities divided by
            the temperature, very low for clips of the same video; and `"weights"`.
        """
        clips = _normalize(self._project_clips(clips))
        projected = _normalize(self._project_frames(all_frames))
        similar = ops.matmul(clips, ops.transpose(projected)) / self.temperature
        indices = global_indices(videos, start)
        own = ops.take_along_axis(similar, indices[:, None], axis=1)[:, 0]
        is_negative = different_videos(videos, all_videos)
        return {
            "own": own,
            "others": ops.where(is_negative, similar, _LOWEST),
            "weights": ops.cast(ops.any(is_negative, axis=1), "float32"),
        }

    def _loss_per_clip(self, outputs: dict[str, Any]) -> Any:
        scores = ops.concatenate([outputs["own"][:, None], outputs["others"]], axis=1)
        return ops.logsumexp(scores, axis=1) - outputs["own"]

    def _metric_per_clip(self, outputs: dict[str, Any]) -> Any:
        return ops.cast(outputs["own"] > ops.max(outputs["others"], axis=1), "float32")


_LOWEST = -1e9
_EPSILON = 1e-4  # bounds the gradient of features that are 0, as of a black clip


def _normalize(x: Any) -> Any:
    return x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + _EPSILON)
