"""Trains a network on clip shards with `model.fit`.

Run the same command again and it goes on where it was.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys

import keras
import tensorflow as tf

from keras_t3d.clips import ClipSpec
from keras_t3d.data.pipeline import load_clips, steps_per_epoch
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.evaluation.scores import check_class_names
from keras_t3d.inference.load import load_keras_model
from keras_t3d.models.names import create
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.training import run_directory
from keras_t3d.training.config import OptimizerConfig, TrainConfig


def train(
    config: TrainConfig, run_dir: str | os.PathLike[str], init: str | None = None
) -> VideoClassifier:
    """Trains a network as a configuration says, or goes on with a run.

    Args:
        config: TrainConfig.
        run_dir: folder of the run, see `keras_t3d.training.run_directory`.
        init: path of a `.keras` model whose weights the training starts from; a
            head for other classes is replaced. Defaults to `None`.

    Returns:
        The trained VideoClassifier, as after the last epoch.

    Raises:
        ValueError: if configuration, shards or run directory do not fit.
    """
    shards = ShardSet.open(config.data.shards)
    steps = steps_per_epoch(
        shards,
        config.data.train_split,
        config.data.batch_size,
        config.data.augmentation.repeats,
        config.data.on_damage,
    )
    strategy = _strategy(config.data.batch_size)
    folder = run_directory.check(run_dir, config)
    progress = run_directory.read_progress(folder)
    epochs_done = progress.epochs_done if progress else 0

    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        if progress:
            model = load_keras_model(folder / run_directory.LAST)
            _check_same_shards(model, shards, progress, steps)
        else:
            model = _new_model(config, shards, init)
            _compile(model, config, steps)
    if epochs_done == config.epochs:
        print(f"{folder} has finished its {config.epochs} epochs.")
        return model

    training_clips = load_clips(
        shards,
        config.data.train_split,
        config.clip,
        config.data.batch_size,
        training=True,
        seed=config.seed,
        augmentation=config.data.augmentation,
        sampling=config.data.sampling,
        short=config.data.short,
        target_fps=config.data.target_fps,
        shuffle_buffer=config.data.shuffle_buffer,
        on_damage=config.data.on_damage,
        repeat=True,
        first_step=epochs_done * steps,
    )
    validation_clips = _validation_clips(config, shards)
    # From here on nothing in the configuration can be refused.
    devices = [device.name for device in tf.config.list_logical_devices()]
    run_directory.record_start(folder, config, devices)
    if epochs_done:
        print(f"Going on after epoch {epochs_done} of {config.epochs}.")
    with damage_named(shards):
        model.fit(
            training_clips,
            epochs=config.epochs,
            initial_epoch=epochs_done,
            steps_per_epoch=steps,
            validation_data=validation_clips,
            callbacks=[
                # Before EpochRecord, which must be the last to touch the disk.
                keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
                keras.callbacks.TerminateOnNaN(),
                run_directory.EpochRecord(folder, epochs_done, steps, config.data.batch_size),
            ],
            shuffle=False,  # load_clips did
            verbose=1 if sys.stdout.isatty() else 2,
        )
    return model


def _strategy(batch_size: int) -> tf.distribute.Strategy:
    """All visible GPUs, or the CPU."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"data.batch_size must be a multiple of the {replicas} devices, for example "
            f"{-(-batch_size // replicas) * replicas}. Received: {batch_size}"
        )
    return strategy


def _check_same_shards(
    model: VideoClassifier, shards: ShardSet, progress: run_directory.Progress, steps: int
) -> None:
    check_class_names(model.class_names, shards)
    if progress.steps_per_epoch != steps:
        raise ValueError(
            "The shards changed since the run began: use the same ones, or a new --run-dir. "
            f"Received: {steps} steps an epoch in {shards.folder}, before it were "
            f"{progress.steps_per_epoch}"
        )


def _new_model(config: TrainConfig, shards: ShardSet, init: str | None) -> VideoClassifier:
    source = None if init is None else load_keras_model(init)
    model = create(
        config.model.name,
        input_shape=config.clip.input_shape,
        num_classes=len(shards.class_names),
        class_names=shards.class_names,
        clip_spec=config.clip if source is None else _normalized_as(source, config.clip),
        dropout=config.model.dropout,
        dtype=config.model.dtype,
        **config.model.options,
    )
    if source is not None:
        fresh = model.copy_weights_from(source)
        print(f"Started from {init}; new weights: {', '.join(fresh) or 'none'}.")
    return model


def _normalized_as(source: VideoClassifier, spec: ClipSpec) -> ClipSpec:
    """The configured clip with the mean and std that the weights were trained with.

    A mean or std that the configuration names itself stays, for `copy_weights_from` to refuse.
    """
    theirs, default = source.clip_spec, ClipSpec()
    if (spec.mean, spec.std) != (default.mean, default.std):
        return spec
    return dataclasses.replace(spec, mean=theirs.mean, std=theirs.std)


def _compile(model: VideoClassifier, config: TrainConfig, steps: int) -> None:
    # Mixed clips have shares of two classes for a label; others the class's id.
    kind = "" if config.data.augmentation.mixes else "Sparse"
    cross_entropy = getattr(keras.metrics, f"{kind}CategoricalCrossentropy")
    accuracy = getattr(keras.metrics, f"{kind}CategoricalAccuracy")
    metrics = [cross_entropy(from_logits=True, name="cross_entropy"), accuracy(name="top1")]
    if model.num_classes > 5:
        top_k = getattr(keras.metrics, f"{kind}TopKCategoricalAccuracy")
        metrics.append(top_k(5, name="top5"))
    model.compile(
        optimizer=_optimizer(config.optimizer, config.epochs, steps),
        loss=getattr(keras.losses, f"{kind}CategoricalCrossentropy")(from_logits=True),
        weighted_metrics=metrics,  # weights: padded validation clips count nothing
        jit_compile=False,  # XLA is several times slower on CPU, and off under tf.distribute
    )


def _optimizer(config: OptimizerConfig, epochs: int, steps: int) -> keras.optimizers.Optimizer:
    rate: float | keras.optimizers.schedules.LearningRateSchedule = config.learning_rate
    warmup = round(config.warmup_epochs * steps)
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else config.learning_rate,
            warmup_target=config.learning_rate if warmup else None,
            warmup_steps=warmup,
            decay_steps=epochs * steps - warmup,
        )
    elif config.schedule == "step":
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            [epoch * steps for epoch in config.step_epochs],
            [config.learning_rate / 10**n for n in range(len(config.step_epochs) + 1)],
        )
    return keras.optimizers.SGD(
        rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )


def _validation_clips(config: TrainConfig, shards: ShardSet) -> tf.data.Dataset | None:
    split = config.data.validation_split
    if split is None:
        return None
    if split not in shards.splits:
        print(f"No videos of the split {split!r}: best.keras will be the last epoch's model.")
        return None
    clips = load_clips(
        shards,
        split,
        config.clip,
        config.data.batch_size,
        pad_last_batch=True,
        on_damage=config.data.on_damage,
    )
    if not config.data.augmentation.mixes:
        return clips
    num_classes = len(shards.class_names)
    return clips.map(lambda clip, label, weight: (clip, tf.one_hot(label, num_classes), weight))


def main(config: TrainConfig, run_dir: str, init: str | None = None) -> None:
    """Trains, then says where everything lies."""
    train(config, run_dir, init)
    folder = pathlib.Path(run_dir)
    last = run_directory.read_history(folder)[-1]
    figures = ", ".join(
        f"{key} {last[key]:.4f}" for key in ("cross_entropy", "top1", "val_top1") if key in last
    )
    print(f"Epoch {int(last['epoch'])}: {figures}")
    print(f"Wrote {folder / run_directory.BEST}, history.csv, curves.png, tensorboard/")
