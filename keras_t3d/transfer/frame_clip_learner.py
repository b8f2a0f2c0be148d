"""What the ways to teach a 3D network by a 2D one share."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.learner import Learner
from keras_t3d.transfer.frame_teacher import FrameTeacher


class FrameClipLearner(Learner):
    """Trains a student on unlabelled clips by what a frozen teacher says of their frames.

    Reads the dicts of `keras_t3d.data.load_clips` with `labelled=False`: `"clips"`, `"videos"`
    (the number of the source video of each; -1 counts nothing), and, where they are cached,
    `"frame_features"`, in whose place the teacher does not run. Clips of one video are never
    compared with each other; those of all devices are compared with one another, so training
    is the same on any number of devices.

    A subclass says in `call` what it computes, and in `_clip_losses` and `_clip_hits` what of it is
    minimised and reported. `call` returns a dict of tensors with `"weights"`, float32
    `(batch,)`: 0 for clips that count nothing.

    The student's classifying layer, if it has one, stays as it is.

    Args:
        teacher: FrameTeacher.
        student: VideoClassifier. It is trained in place: save `student` when done.
        accumulation: int. See `Learner`; clips are compared within a part.

    Raises:
        ValueError: if student or teacher are of another kind.
    """

    hits_name = "hits"

    def __init__(self, teacher: FrameTeacher, student: VideoClassifier, accumulation: int) -> None:
        if not isinstance(teacher, FrameTeacher):
            raise ValueError(
                f"{type(self).__name__}: `teacher` must be a FrameTeacher, for example "
                "keras_t3d.transfer.load_teacher('DenseNet121'), or "
                f"keras_t3d.transfer.FrameTeacher(network, 'torch'). Received: {teacher!r}"
            )
        if not isinstance(student, VideoClassifier):
            raise ValueError(
                f"{type(self).__name__}: `student` must be a network of keras_t3d.models, for "
                f"example T3D121(...). Received: {student!r}"
            )
        if not student.num_classes and len(student.output_shape) != 2:
            raise ValueError(
                f"{type(self).__name__}: `student` must pool its features: pooling='avg'. "
                f"Received: {student.name!r} with features of {student.output_shape}"
            )
        super().__init__(student, accumulation)
        self.teacher = teacher
        self._embed = student.feature_model()
        self._head: list[Any] = []
        self._mean_of_batch = _GivenLoss()
        self._loss_mean = keras.metrics.Mean("transfer_loss")
        self._hits_mean = keras.metrics.Mean(self.hits_name)

    def compile(self, optimizer: Any = "sgd", **kwargs: Any) -> None:
        """Keras's `compile`; loss and metrics are the objective's own.

        Args:
            optimizer: optimizer, or the name of one. Defaults to `"sgd"`.
            **kwargs: as for `keras.Model.compile`, but for `loss` and `metrics`.
        """
        given = [name for name in ("loss", "metrics", "weighted_metrics") if name in kwargs]
        if given:
            raise ValueError(
                f"{type(self).__name__}.compile: loss and metrics are its own. Received: {given}"
            )
        super().compile(optimizer, **kwargs)

    @property
    def trainable_variables(self) -> list[Any]:
        """Those that move: the student's, less its classifying layer, and the head's."""
        parts = [self._embed, *self._head]
        return [variable for part in parts for variable in part.trainable_variables]

    @property
    def trainable_weights(self) -> list[Any]:
        """The same; Keras asks for either name."""
        return self.trainable_variables

    @property
    def checkpointed_variables(self) -> list[Any]:
        """All of the student and of the head; the teacher never changes."""
        return [*self.network.variables, *(v for part in self._head for v in part.variables)]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The mean over the batch, in which clips that count nothing add zero."""
        losses = self._clip_losses(y_pred) * y_pred["weights"]
        loss = self._mean_of_batch(ops.zeros_like(losses), losses)
        # Not the teacher's: what it adds is nothing that could be learned.
        added = [more for part in (self._embed, *self._head) for more in part.losses]
        return loss + sum(self._aggregate_additional_loss(more) for more in added)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Means over the clips that count."""
        weights = y_pred["weights"]
        self._loss_mean.update_state(self._clip_losses(y_pred), sample_weight=weights)
        self._hits_mean.update_state(self._clip_hits(y_pred), sample_weight=weights)
        return self.get_metrics_result()

    def _clip_losses(self, outputs: dict[str, Any]) -> Any:
        """What is minimised, by clip: float32 `(batch,)`."""
        raise NotImplementedError

    def _clip_hits(self, outputs: dict[str, Any]) -> Any:
        """How right the student is, by clip, from 0 to 1: float32 `(batch,)`."""
        raise NotImplementedError

    def _features(self, inputs: dict[str, Any], training: bool | None) -> tuple[Any, Any]:
        """The student's features of the clips, and the teacher's of their frames."""
        _check_inputs(inputs)
        clips = self._embed(inputs["clips"], training=training)
        if "frame_features" in inputs:
            frames = ops.cast(inputs["frame_features"], "float32")
        else:
            frames = self.teacher(inputs["clips"])
        return ops.cast(clips, "float32"), frames


class _GivenLoss(keras.losses.Loss):
    """The mean of losses by clip, scaled by Keras as devices add gradients up."""

    def __init__(self) -> None:
        super().__init__(name="transfer")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


def _check_inputs(inputs: Any) -> None:
    if not isinstance(inputs, dict) or not {"clips", "videos"} <= set(inputs):
        raise ValueError(
            "Training without labels reads dicts of 'clips' and 'videos', as keras_t3d.data."
            "load_clips with `labelled` False gives them; or make one: {'clips': clips, 'videos': "
            "np.arange(len(clips), dtype='int32')}. Received: "
            + (f"the keys {sorted(inputs)}" if isinstance(inputs, dict) else f"{inputs!r}")
        )
