"""Pretrains a network on unlabelled clips, taught by a 2D network: 2D to 3D transfer.

Run the same command again and it goes on where it was.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator

import keras

from keras_t3d.data.clips.frame_features import FrameFeatures
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.inference.load import load_keras_model
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.progress import Progress
from keras_t3d.training import run_directory
from keras_t3d.training.clips import statistics_batches
from keras_t3d.training.devices import chief_first, lost_machine_named
from keras_t3d.training.network import new_student, student_for
from keras_t3d.training.objective import new_optimizer
from keras_t3d.training.pretrain_config import PretrainConfig, TeacherConfig
from keras_t3d.training.run import Figures, Run, Start, find_start, is_finished
from keras_t3d.training.tensorboard_log import TensorBoardLog
from keras_t3d.training.transfer_objective import new_transfer
from keras_t3d.training.unlabelled import (
    clips_of,
    sample_clips,
    training_clips,
    validation_clips,
    validation_split,
)
from keras_t3d.transfer.feature_cache import write_frame_features
from keras_t3d.transfer.frame_teacher import FrameTeacher, load_teacher

ProgressBar = Callable[[str, str], contextlib.AbstractContextManager[Progress]]
NETWORKS = {run_directory.STUDENT: None}  # the last: no figure here says what fine-tunes best
SAMPLES = 16  # clips shown in TensorBoard


def pretrain(
    config: PretrainConfig,
    run_dir: str | os.PathLike[str],
    progress_bar: ProgressBar | None = None,
) -> VideoClassifier:
    """Pretrains a network as a configuration says, or goes on with a run.

    Args:
        config: PretrainConfig.
        run_dir: folder of the run, see `keras_t3d.training.run_directory`. On several
            machines, one that all of them see.
        progress_bar: gives a context manager from a title and a unit, which gives a function
            of (done, all), for the teacher's features where they are cached. Defaults to
            `None`.

    Returns:
        The student, a VideoClassifier without a classifying layer, as after the last epoch.

    Raises:
        ValueError: if configuration, shards or run directory do not fit, or the loss
            becomes no number.

    Example:

    ```python
    words = ["--config", "pretrain_t3d121"]
    config, _ = parse_config(config_parser(config_class=PretrainConfig), words, PretrainConfig)
    student = pretrain(config, "runs/pre")
    ```
    """
    start = find_start(config, run_dir)
    shards, devices = start.shards, start.devices
    if is_finished(start, config.epochs):
        return load_keras_model(start.folder / run_directory.STUDENT)

    keras.utils.set_random_seed(config.seed)
    with devices.scope():
        teacher = _teacher(config.teacher)  # before the student: the seed gives both their weights
        fingerprint = _checked_teacher(teacher, start)
        student = _student(config, start, teacher)
        learner = new_transfer(config, teacher, student)
        learner.compile(new_optimizer(config, student, start.steps))
    if validation_split(config, shards) is None and config.data.validation_split is not None:
        print(f"No videos of the split {config.data.validation_split!r}: nothing is held out.")
    features = _cached_features(config, start, teacher, progress_bar)
    run = Run(
        config,
        start,
        learner,
        clips=lambda step: training_clips(config, shards, devices, step, features),
        validation=validation_clips(config, shards, devices, features),
        statistics=lambda count: statistics_batches(
            training_clips(config, shards, devices), devices, count, clips_of
        ),
        figures=Figures(
            "transfer_loss",
            learner.hits_name,
            titles=("transfer loss", learner.hits_name.replace("_", " ")),
        ),
        networks=NETWORKS,
        callbacks=lambda: [ComparisonWatch(), *_tensorboard(config, start)],
        teacher=fingerprint,
    )
    run.finish()
    return load_keras_model(start.folder / run_directory.STUDENT)


def _teacher(config: TeacherConfig) -> FrameTeacher:
    return load_teacher(
        config.network,
        None if config.weights == "none" else config.weights,
        config.preprocessing,
        config.image_size,
    )


def _checked_teacher(teacher: FrameTeacher, start: Start) -> str:
    """The teacher's fingerprint, which is that of the run's beginning."""
    fingerprint = teacher.fingerprint()
    if start.checkpoint is not None and start.checkpoint.place.teacher != fingerprint:
        raise ValueError(
            "The teacher changed since the run began: restore its file or its package, or use a "
            f"new --run-dir. Received: another {teacher.network.name!r} for {start.folder}"
        )
    return fingerprint


class ComparisonWatch(keras.callbacks.Callback):
    """Stops where a first batch compares nothing, as all its clips are of one video."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch == 0 and (logs or {}).get("transfer_loss") == 0:
            raise ValueError(
                "A batch must hold clips of several videos, or nothing can be compared: convert "
                "more videos (parts of one video are one), lower data.augmentation.repeats, or "
                "raise data.batch_size. Received: a first batch without a pair"
            )


def _student(config: PretrainConfig, start: Start, teacher: FrameTeacher) -> VideoClassifier:
    if start.checkpoint is None:
        return new_student(config, teacher)
    return student_for(config.model, start.checkpoint.place.clip_spec)


def _cached_features(
    config: PretrainConfig, start: Start, teacher: FrameTeacher, progress_bar: ProgressBar | None
) -> FrameFeatures | None:
    """The teacher's features of the splits that are used, where the configuration says so."""
    if not config.cache_features:
        return None
    shards, devices = start.shards, start.devices
    training_clips(config, shards, devices)  # refuses what does not fit, before hours of work
    splits: list[str] = [config.data.train_split]
    held_out = validation_split(config, shards)
    if held_out is not None and held_out not in splits:
        splits.append(held_out)
    with lost_machine_named(devices), damage_named(shards), chief_first(devices):
        for split in splits:
            with (progress_bar or _silent)("teacher", f"videos of {split}") as progress:
                folder = write_frame_features(
                    teacher,
                    shards,
                    split,
                    config.clip,
                    skip_damaged=config.data.on_damage == "skip",
                    progress=progress,
                )
    print(
        f"The teacher's features lie in {folder}. They are of the centre view, unflipped: "
        "whatever window and flip the student sees, the teacher sees the centre."
    )
    return FrameFeatures.open(folder, splits)


@contextlib.contextmanager
def _silent(title: str, unit: str) -> Iterator[Progress]:
    yield lambda done, total: None


def _tensorboard(config: PretrainConfig, start: Start) -> list[keras.callbacks.Callback]:
    if not start.devices.is_chief:
        return []
    return [
        TensorBoardLog(
            start.folder / "tensorboard", lambda: sample_clips(config, start.shards, SAMPLES)
        )
    ]


def main(
    config: PretrainConfig,
    run_dir: str | os.PathLike[str],
    progress_bar: ProgressBar | None = None,
) -> None:
    """Pretrains, then says where everything lies and what is next."""
    pretrain(config, run_dir, progress_bar)
    folder = pathlib.Path(run_dir)
    last = run_directory.read_history(folder)[-1]
    shown = ("transfer_loss", "match_accuracy", "retrieval")
    names = [name for figure in shown for name in (figure, f"val_{figure}") if name in last]
    figures = ", ".join(f"{name} {last[name]:.4f}" for name in names)
    student = folder / run_directory.STUDENT
    print(f"Epoch {int(last['epoch'])}: {figures}")
    print(f"Wrote {student}, history.csv, curves.png, tensorboard/")
    print(f"Next: keras-t3d train --config RECIPE --init {student} --run-dir DIR")
