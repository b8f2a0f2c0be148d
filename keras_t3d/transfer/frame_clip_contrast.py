"""The papers' pairs, told apart all at once: InfoNCE over the batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.other_videos import other_videos, own_places


class FrameClipContrast(FrameClipLearner):
    """Teaches a 3D network to find a clip's own frames among those of other videos.

    ```
    clip, frames = normalised dense layers of the student's and the teacher's features
    loss         = -log softmax(clip . frames / temperature)[own frames]
    ```

    over the frames of all clips of other videos in the batch, on all devices. Not of the papers.
    Its metric `retrieval` is the share of clips whose own frames score highest: chance is about
    one by the batch size.

    Args:
        teacher: FrameTeacher.
        student: VideoClassifier. It is trained in place: save `student` when done.
        features: int. Width of what is compared. Defaults to `128`.
        temperature: float. Defaults to `0.1`.
        accumulation: int. See `keras_t3d.optimization.learner.Learner`; clips are compared
            within a part. Defaults to `1`.

    Raises:
        ValueError: if student or teacher are of another kind, or a value is not above 0.

    Example:

    ```python
    contrast = FrameClipContrast(keras_t3d.transfer.load_teacher("DenseNet121"), student)
    contrast.compile("adam")
    contrast.fit(clips, epochs=10)  # of load_clips with labelled=False
    ```

    Reference:
        van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018,
        https://arxiv.org/abs/1807.03748
    """

    hits_name = "retrieval"

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
            raise ValueError(
                "FrameClipContrast: `features` must be a whole number from 1 and `temperature` "
                "above 0, for example features=128, temperature=0.1. "
                f"Received: features={features!r}, temperature={temperature!r}"
            )
        self.temperature = temperature
        # In float32, as all that the student's pooled features pass.
        self._project_clips = keras.layers.Dense(features, dtype="float32", name="project_clips")
        self._project_frames = keras.layers.Dense(features, dtype="float32", name="project_frames")
        self._project_clips.build(self._embed.output_shape)
        self._project_frames.build((None, teacher.width))
        self._head = [self._project_clips, self._project_frames]

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Compares each clip with its own frames and with those of all other videos.

        Args:
            inputs: dict of `"clips"`, `"videos"` and maybe `"frame_features"`.
            training: bool. Whether the student runs in training mode.

        Returns:
            Dict of `"own"`, `(batch,)`, similarities by the temperature; `"others"`, of shape
            `(batch, all)`, very low where a clip is of the same video; and `"weights"`.
        """
        clips, frames = self._features(inputs, training)
        (all_frames, all_videos), start = self.over_devices((frames, inputs["videos"]))
        clips = _of_unit_length(self._project_clips(clips))
        frames = _of_unit_length(self._project_frames(all_frames))
        similar = ops.matmul(clips, ops.transpose(frames)) / self.temperature
        places = own_places(inputs["videos"], start)
        own = ops.take_along_axis(similar, places[:, None], axis=1)[:, 0]
        usable = other_videos(inputs["videos"], all_videos)
        return {
            "own": own,
            "others": ops.where(usable, similar, _LOWEST),
            "weights": ops.cast(ops.any(usable, axis=1), "float32"),
        }

    def _clip_losses(self, outputs: dict[str, Any]) -> Any:
        scores = ops.concatenate([outputs["own"][:, None], outputs["others"]], axis=1)
        return ops.logsumexp(scores, axis=1) - outputs["own"]

    def _clip_hits(self, outputs: dict[str, Any]) -> Any:
        return ops.cast(outputs["own"] > ops.max(outputs["others"], axis=1), "float32")


_LOWEST = -1e9
_SHORT = 1e-4  # a black clip's features may be 0, whose gradient would be without bounds


def _of_unit_length(x: Any) -> Any:
    return x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + _SHORT)
