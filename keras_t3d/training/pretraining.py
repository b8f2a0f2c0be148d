"""Pretrains a network on unlabelled clips with a 2D network as teacher; re-run to resume."""

from __future__ import annotations

import os
import pathlib

import keras

from keras_t3d.data.clips.frame_features import FrameFeatures
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.load import load_keras_model
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.progress import progress_bar
from keras_t3d.training import run_directory
from keras_t3d.training.clips import ClipBatches, sample_clips, training_clips, validation_split
from keras_t3d.training.devices import chief_first, explain_lost_machine
from keras_t3d.training.network import new_student, student_for
from keras_t3d.training.objective import new_optimizer
from keras_t3d.training.pretrain_config import PretrainConfig, TeacherConfig
from keras_t3d.training.run import RunSetup, TrainingRun, prepare_run, with_enough_epochs
from keras_t3d.training.tensorboard_log import TensorBoardLog
from keras_t3d.transfer.feature_cache import write_frame_features
from keras_t3d.transfer.feature_regression import FeatureRegression
from keras_t3d.transfer.frame_clip_contrast import FrameClipContrast
from keras_t3d.transfer.frame_clip_learner import FrameClipLearner
from keras_t3d.transfer.frame_clip_matching import FrameClipMatching
from keras_t3d.transfer.frame_teacher import FrameTeacher, load_teacher

# The last epoch's: no metric here predicts which one fine-tunes best.
MODELS = {run_directory.STUDENT: None}


class CheckPairs(keras.callbacks.Callback):
    """Stops a pretraining whose first batch has no clips to compare.

    Raises:
        InvalidArgumentError: in `fit`, if all clips of the first batch are of one video.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch == 0 and (logs or {}).get("transfer_loss") == 0:
            raise InvalidArgumentError(
                "A batch must hold clips of several videos, which are compared with each other: "
                "convert more videos (parts of one video count as one), lower "
                "`data.augmentation.repeats`, or raise `data.batch_size`. "
                "Received: a first batch without a pair",
                argument="data.batch_size",
            )


def pretrain(config: PretrainConfig, run_dir: str | os.PathLike[str]) -> VideoClassifier:
    """Pretrains a network, or resumes a run.

    Args:
        config: configuration of the run.
        run_dir: folder for checkpoints, models and metrics, see
            `keras_t3d.training.run_directory`. With several machines, a folder that all of them
            can access.

    Returns:
        The student, a VideoClassifier without a classifying layer, with the weights after the
        last epoch.

    Raises:
        KerasT3DError: if configuration, shards and run directory do not fit, or the loss
            becomes NaN or infinite.

    Example:

    ```python
    words = ["--config", "pretrain_t3d121"]
    config, _ = parse_config(config_parser(config_class=PretrainConfig), words, PretrainConfig)
    student = pretrain(config, "runs/pre")
    ```
    """
    config = with_enough_epochs(config)
    setup = prepare_run(config, run_dir)
    shards, devices = setup.shards, setup.devices
    if setup.is_finished(config.epochs):
        return load_keras_model(setup.folder / run_directory.STUDENT)

    keras.utils.set_random_seed(config.seed)
    with devices.scope():
        teacher = new_teacher(config.teacher)  # before the student: both draw from the seed
        fingerprint = _check_fingerprint(teacher, setup)
        if setup.checkpoint is None:
            student = new_student(config, teacher)
        else:
            student = student_for(config.model, setup.checkpoint.state.clip_spec)
        learner = new_transfer(config, teacher, student)
        learner.compile(new_optimizer(config, student, setup.steps_per_epoch))
    if validation_split(config, shards) is None and config.data.validation_split is not None:
        print(f"No videos in the split {config.data.validation_split!r}: no validation.")
    features = _cached_features(config, setup, teacher)

    def make_callbacks() -> list[keras.callbacks.Callback]:
        log = TensorBoardLog(setup.folder / "tensorboard", lambda: sample_clips(config, shards))
        return [CheckPairs(), log] if devices.is_chief else [CheckPairs()]

    accuracy = learner.metric_name
    TrainingRun(
        config,
        setup,
        learner,
        ClipBatches(config, shards, devices, () if features is None else (features,)),
        {"transfer loss": "transfer_loss", accuracy.replace("_", " "): accuracy},
        MODELS,
        make_callbacks,
        teacher=fingerprint,
    ).fit()
    return load_keras_model(setup.folder / run_directory.STUDENT)


def new_transfer(
    config: PretrainConfig, teacher: FrameTeacher, student: VideoClassifier
) -> FrameClipLearner:
    """Makes the learner of the configured objective: student and teacher, not compiled."""
    objective, accumulation = config.objective, config.optimizer.accumulation
    if objective.kind == "regression":
        return FeatureRegression(teacher, student, accumulation)
    if objective.kind == "contrast":
        return FrameClipContrast(
            teacher, student, objective.contrast_features, objective.temperature, accumulation
        )
    return FrameClipMatching(
        teacher, student, objective.features, objective.hidden, objective.negatives, accumulation
    )


def new_teacher(config: TeacherConfig) -> FrameTeacher:
    """Loads the configured teacher."""
    return load_teacher(
        config.network,
        None if config.weights == "none" else config.weights,
        config.preprocessing,
        config.image_size,
    )


def _check_fingerprint(teacher: FrameTeacher, setup: RunSetup) -> str:
    """Returns the teacher's fingerprint; raises if it is not that of the checkpoint."""
    fingerprint = teacher.fingerprint()
    if setup.checkpoint is not None and setup.checkpoint.state.teacher != fingerprint:
        raise InvalidArgumentError(
            "The teacher changed since training started: restore its file or its package, or use "
            f"a new `run_dir`. Received: another {teacher.network.name!r} for {setup.folder}",
            argument="teacher.network",
        )
    return fingerprint


def _cached_features(
    config: PretrainConfig, setup: RunSetup, teacher: FrameTeacher
) -> FrameFeatures | None:
    """Returns the teacher's features of the used splits, or None if they are not cached."""
    if not config.cache_features:
        return None
    shards, devices = setup.shards, setup.devices
    training_clips(config, shards, devices)  # checks the clips before hours of work
    splits: list[str] = [config.data.train_split]
    held_out = validation_split(config, shards)
    if held_out is not None and held_out not in splits:
        splits.append(held_out)
    with explain_lost_machine(devices), damage_named(shards), chief_first(devices):
        for split in splits:
            with progress_bar("teacher", f"videos of {split}") as progress:
                folder = write_frame_features(
                    teacher,
                    shards,
                    split,
                    config.clip_spec,
                    skip_damaged=config.data.on_damage == "skip",
                    progress=progress,
                )
    print(
        f"Cached the teacher's features in {folder}. They are of the centre view, unflipped, "
        "whatever crop and flip the student sees."
    )
    return FrameFeatures.open(folder, splits)


def pretrain_and_report(config: PretrainConfig, run_dir: str | os.PathLike[str]) -> None:
    """Pretrains, then prints the metrics, the paths of the files and the next command."""
    pretrain(config, run_dir)
    student = pathlib.Path(run_dir, run_directory.STUDENT)
    metrics = ("transfer_loss", "match_accuracy", "retrieval")
    both = [name for metric in metrics for name in (metric, f"val_{metric}")]
    run_directory.print_results(run_dir, run_directory.STUDENT, *both)
    print(f"Next: keras-t3d train --config RECIPE --init {student} --run-dir DIR")
