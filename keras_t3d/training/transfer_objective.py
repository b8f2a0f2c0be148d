"""The way of teaching that a pretraining's configuration names."""

from __future__ import annotations

from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.training.pretrain_config import PretrainConfig
from keras_t3d.transfer.feature_regression import FeatureRegression
from keras_t3d.transfer.frame_clip_contrast import FrameClipContrast
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_clip_matching import FrameClipMatching
from keras_t3d.transfer.frame_teacher import FrameTeacher


def new_transfer(
    config: PretrainConfig, teacher: FrameTeacher, student: VideoClassifier
) -> FrameClipLearner:
    """Makes what `fit` trains: the student beside its teacher, not compiled.

    Args:
        config: PretrainConfig.
        teacher: FrameTeacher.
        student: VideoClassifier.

    Returns:
        A FrameClipMatching, FeatureRegression or FrameClipContrast.
    """
    ours, accumulation = config.objective, config.optimizer.accumulation
    if ours.kind == "regression":
        return FeatureRegression(teacher, student, accumulation)
    if ours.kind == "contrast":
        return FrameClipContrast(
            teacher, student, ours.contrast_features, ours.temperature, accumulation
        )
    return FrameClipMatching(
        teacher, student, ours.features, ours.hidden, ours.negatives, accumulation
    )
