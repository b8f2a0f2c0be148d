"""The base class of objectives that train a 3D network with a 2D teacher."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.learner import Learner
from keras_t3d.transfer.frame_teacher import FrameTeacher


class FrameClipLearner(Learner):
    """Trains a student on unlabelled clips with the features of a frozen 2D teacher.

    Reads the dicts of `keras_t3d.data.load_clips` with `labelled=False`: `"clips"`, `"videos"`
    (the number of the source video of each clip; -1 excludes a clip), and, if they are cached,
    `"frame_features"`, which replace the teacher. Clips of the same video are never compared
    with each other. Clips are compared over all devices, so that training does not depend on
    their number.

    A subclass computes in `_compare` a dict of tensors with `"weights"`, float32 `(batch,)`: 0 for
    clips that are excluded. From these, `_loss_per_clip` and `_metric_per_clip` compute what is
    minimised and reported.

    The student's classification layer, if it has one, is not trained.

    Args:
        teacher: the frozen teacher.
        student: the network to train, in place: save `student` after training.
        accumulation: number of parts of a batch whose gradients are accumulated, see `Learner`.
            Clips are compared within a part.

    Raises:
        InvalidArgumentError: if the student or the teacher has the wrong type, or the student
            does not pool its features.
    """

    metric_name = "accuracy"

    def __init__(self, teacher: FrameTeacher, student: VideoClassifier, accumulation: int) -> None:
        if not isinstance(teacher, FrameTeacher):
            raise InvalidArgumentError(
                f"{type(self).__name__}: `teacher` must be a FrameTeacher, for example "
                "keras_t3d.transfer.load_teacher('DenseNet121'), or "
                f"keras_t3d.transfer.FrameTeacher(network, 'torch'). Received: {teacher!r}",
                argument="teacher",
            )
        if not isinstance(student, VideoClassifier):
            raise InvalidArgumentError(
                f"{type(self).__name__}: `student` must be a network of keras_t3d.models, for "
                f"example T3D121(...). Received: {student!r}",
                argument="student",
            )
        if not student.num_classes and len(student.output_shape) != 2:
            raise InvalidArgumentError(
                f"{type(self).__name__}: `student` must pool its features, for example with "
                f"pooling='avg'. Received: {student.name!r} with features of shape "
                f"{student.output_shape}",
                argument="student",
            )
        super().__init__(student, accumulation)
        self.teacher = teacher
        self._embed = student.feature_model()
        self._head: list[Any] = []
        self._mean_of_batch = _PrecomputedLoss()
        self._loss_mean = keras.metrics.Mean("transfer_loss", dtype="float32")
        self._metric_mean = keras.metrics.Mean(self.metric_name, dtype="float32")

    def compile(self, optimizer: Any = "sgd", **kwargs: Any) -> None:
        """Configures training; loss and metrics are defined by the objective.

        Args:
            optimizer: optimizer, or the name of one.
            **kwargs: as for `keras.Model.compile`, except `loss` and `metrics`.

        Raises:
            InvalidArgumentError: if a loss or metrics are given.
        """
        given = [name for name in ("loss", "metrics", "weighted_metrics") if name in kwargs]
        if given:
            raise InvalidArgumentError(
                f"{type(self).__name__}.compile defines loss and metrics itself, for example "
                f"compile('adam'). Received: {given}",
                argument=given[0],
            )
        super().compile(optimizer, **kwargs)

    @property
    def trainable_variables(self) -> list[Any]:
        """Variables of the student, without its classification layer, and of the head."""
        parts = [self._embed, *self._head]
        return [variable for part in parts for variable in part.trainable_variables]

    @property
    def trainable_weights(self) -> list[Any]:
        """The same; Keras uses both names."""
        return self.trainable_variables

    @property
    def checkpointed_variables(self) -> list[Any]:
        """All variables of the student and of the head; the teacher never changes."""
        return [*self.network.variables, *(v for part in self._head for v in part.variables)]

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Compares each clip with its own frames and with those of other videos, on all devices.

        Args:
            inputs: dict of `"clips"`, `"videos"` and optionally `"frame_features"`.
            training: whether the student runs in training mode.

        Returns:
            The tensors from which loss and metric are computed, by name.
        """
        _check_inputs(inputs)
        clips = ops.cast(self._embed(inputs["clips"], training=training), "float32")
        if "frame_features" in inputs:
            frames = ops.cast(inputs["frame_features"], "float32")
        else:
            frames = self.teacher(inputs["clips"])
        videos = inputs["videos"]
        (all_frames, all_videos), start = self.over_devices((frames, videos))
        return self._compare(clips, frames, videos, all_frames, all_videos, start)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Returns the mean loss over the batch; excluded clips add zero."""
        losses = self._loss_per_clip(y_pred) * y_pred["weights"]
        loss = self._mean_of_batch(ops.zeros_like(losses), losses)
        # Without the regularization losses of the teacher, which is not trained.
        additional = [loss for part in (self._embed, *self._head) for loss in part.losses]
        return loss + sum(self._aggregate_additional_loss(each) for each in additional)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Returns the mean loss and metric over the clips that are not excluded."""
        weights = y_pred["weights"]
        self._loss_mean.update_state(self._loss_per_clip(y_pred), sample_weight=weights)
        self._metric_mean.update_state(self._metric_per_clip(y_pred), sample_weight=weights)
        return self.get_metrics_result()

    def _loss_per_clip(self, outputs: dict[str, Any]) -> Any:
        """Returns the loss of each clip: float32 `(batch,)`."""
        raise NotImplementedError

    def _metric_per_clip(self, outputs: dict[str, Any]) -> Any:
        """Returns how accurate the student is for each clip, 0..1: float32 `(batch,)`."""
        raise NotImplementedError

    def _compare(
        self, clips: Any, frames: Any, videos: Any, all_frames: Any, all_videos: Any, start: Any
    ) -> dict[str, Any]:
        """Returns the outputs of `call`.

        Args:
            clips: the student's features of this device's clips, float32 `(batch, width)`.
            frames: the teacher's features of their frames, float32 `(batch, width)`.
            videos: number of the video of each clip, `(batch,)`; -1 excludes a clip.
            all_frames: `frames` of all devices.
            all_videos: `videos` of all devices.
            start: index of this device's first clip among all.
        """
        raise NotImplementedError


class _PrecomputedLoss(keras.losses.Loss):
    """The mean of the losses per clip, which Keras scales for the sum over devices."""

    def __init__(self) -> None:
        super().__init__(name="transfer")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


def _check_inputs(inputs: Any) -> None:
    if not isinstance(inputs, dict) or not {"clips", "videos"} <= set(inputs):
        raise InvalidArgumentError(
            "Training without labels reads dicts of 'clips' and 'videos', as keras_t3d.data."
            "load_clips with `labelled` False gives them; or make one: {'clips': clips, 'videos': "
            "np.arange(len(clips), dtype='int32')}. Received: "
            + (f"the keys {sorted(inputs)}" if isinstance(inputs, dict) else f"{inputs!r}")
        )
