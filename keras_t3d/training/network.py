"""Makes the network of a configuration."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import keras

from keras_t3d.clips import IMAGENET_MEAN, ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models import create
from keras_t3d.models.inflation import inflate, source_normalization
from keras_t3d.models.load import load_keras_model
from keras_t3d.models.registry import published_weights
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.batch_statistics import freeze_batch_norms, synchronize_batch_norms
from keras_t3d.optimization.stages import checked_stages, layers_by_stage
from keras_t3d.training.config import ModelConfig, TrainConfig
from keras_t3d.training.pretrain_config import PretrainConfig
from keras_t3d.transfer.frame_teacher import FrameTeacher


def new_network(
    config: TrainConfig, class_names: tuple[str, ...], init: str | None = None
) -> VideoClassifier:
    """Makes the configured network, with random weights or those of another model.

    Args:
        config: configuration of the run.
        class_names: names of the classes.
        init: path of a `.keras` model whose weights to copy; its head is replaced if its classes
            differ.

    Returns:
        A VideoClassifier.

    Raises:
        KerasT3DError: if network and options, or weights and network, do not fit.
    """
    if config.model.weights is not None:
        if init is not None:
            raise InvalidArgumentError(
                "`model.weights` and `init` are weights to start from: give one of them. "
                f"Received: {config.model.weights!r} and {init!r}",
                argument="model.weights",
            )
        with _named_weights():
            clip_spec = _normalized_as_published(config.model, config.clip_spec)
            return network_for(config.model, clip_spec, class_names, config.model.weights)
    if init is None:
        return network_for(config.model, config.clip_spec, class_names)
    source = load_keras_model(init)
    mean, std = source.clip_spec.mean, source.clip_spec.std
    network = network_for(config.model, normalized_as(config.clip_spec, mean, std), class_names)
    new = network.copy_weights_from(source)
    print(f"Started from {init}; new weights: {', '.join(new) or 'none'}.")
    return network


def network_for(
    config: ModelConfig,
    clip_spec: ClipSpec,
    class_names: tuple[str, ...],
    weights: str | None = None,
) -> VideoClassifier:
    """Makes the configured network, and freezes the configured stages.

    Args:
        config: configuration of the network.
        clip_spec: input of the network.
        class_names: names of the classes.
        weights: name of published weights; None for random ones.

    Returns:
        A VideoClassifier.

    Raises:
        InvalidArgumentError: if network and options do not fit.
    """
    network = _create(
        config,
        clip_spec,
        num_classes=len(class_names),
        class_names=class_names,
        dropout=config.dropout,
        weights=weights,
    )
    for stage in checked_stages(network, config.freeze, "model.freeze"):
        for layer in layers_by_stage(network)[stage]:
            layer.trainable = False
    if not network.trainable_variables:
        raise InvalidArgumentError(
            f"`model.freeze` must leave a stage to train. Received: {list(config.freeze)}",
            argument="model.freeze",
        )
    if config.freeze_batch_norms:
        freeze_batch_norms(network)
    if config.synchronized_bn:
        synchronize_batch_norms(network)
    return network


def new_student(config: PretrainConfig, teacher: FrameTeacher) -> VideoClassifier:
    """Makes the configured network without a classifying layer, random or inflated.

    Args:
        config: configuration of the pretraining.
        teacher: source of the weights for `inflate: teacher`.

    Returns:
        A VideoClassifier without classes.

    Raises:
        KerasT3DError: if network and options, or the 2D network and this one, do not fit.
    """
    weights = config.model.weights
    if config.inflate is None and weights is None:
        return student_for(config.model, config.clip_spec)
    if config.inflate is None:
        with _named_weights():
            clip_spec = _normalized_as_published(config.model, config.clip_spec)
            return student_for(config.model, clip_spec, weights)
    if weights is not None:
        raise InvalidArgumentError(
            "`model.weights` and `inflate` are weights to start from: give one of them. "
            f"Received: {weights!r} and {config.inflate!r}",
            argument="model.weights",
        )
    from_teacher = config.inflate == "teacher"
    source: Any = teacher.network if from_teacher else _load_images_network(config.inflate)
    with _named_inflate():
        normalization = source_normalization(source)
    if from_teacher:
        _check_same_pixels(normalization["mean"], config.teacher.preprocessing)
    student = student_for(config.model, normalized_as(config.clip_spec, **normalization))
    with _named_inflate():
        print(inflate(student, source, config.inflate_mode))
    return student


def _normalized_as_published(config: ModelConfig, clip_spec: ClipSpec) -> ClipSpec:
    """Returns the clip spec with the mean and std of the configured published weights."""
    assert config.weights is not None
    published = published_weights(config.name, config.weights)
    print(f"Starting from {published}.")
    return normalized_as(clip_spec, published.mean, published.std)


@contextlib.contextmanager
def _named_weights() -> Iterator[None]:
    """Names the configuration's key in errors about published weights."""
    try:
        yield
    except InvalidArgumentError as error:
        if error.argument != "weights":
            raise
        message = str(error).replace("`weights`", "`model.weights`")
        raise InvalidArgumentError(message, argument="model.weights") from error


@contextlib.contextmanager
def _named_inflate() -> Iterator[None]:
    """Names the configuration's key where the 2D network cannot be inflated."""
    try:
        yield
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"`inflate` names a network that the student cannot start from: {error}",
            argument="inflate",
        ) from error


def _check_same_pixels(mean: tuple[float, ...], preprocessing: str) -> None:
    """Checks the teacher's preprocessing: `inflate` assumes that of keras.applications."""
    own = "torch" if mean == IMAGENET_MEAN else "caffe"
    if preprocessing not in ("auto", own):
        raise InvalidArgumentError(
            "`teacher.preprocessing` must be that of keras.applications if `inflate` is teacher: "
            f"torch for DenseNets, caffe for ResNets, here {own}. Received: {preprocessing!r}",
            argument="teacher.preprocessing",
        )


def student_for(
    config: ModelConfig, clip_spec: ClipSpec, weights: str | None = None
) -> VideoClassifier:
    """Makes the configured network without a classifying layer, see `network_for`."""
    student = _create(config, clip_spec, include_top=False, weights=weights)
    if config.synchronized_bn:
        synchronize_batch_norms(student)
    return student


def _create(config: ModelConfig, clip_spec: ClipSpec, **top: Any) -> VideoClassifier:
    options = dict(config.options)
    if config.rematerialize:
        options["rematerialize"] = True
    return create(
        config.name,
        input_shape=clip_spec.input_shape,
        clip_spec=clip_spec,
        dtype=config.dtype,
        **top,
        **options,
    )


def _load_images_network(path: str) -> Any:
    """Returns the source for `inflate`: the network of a `.keras` file, or another path."""
    if not os.path.isfile(path):
        raise InvalidArgumentError(
            "`inflate` must be teacher, null, or a file with a 2D network: a .keras file or a "
            f"torchvision checkpoint. Received: {path!r}, no such file",
            argument="inflate",
        )
    if path.endswith((".keras", ".h5")):
        return keras.saving.load_model(path, compile=False)
    return path


def normalized_as(
    clip_spec: ClipSpec, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> ClipSpec:
    """Returns the clip spec with the mean and std that weights were trained with.

    A mean or std that the configuration sets is kept; copying the weights then fails.
    """
    default = ClipSpec()
    if (clip_spec.mean, clip_spec.std) != (default.mean, default.std):
        return clip_spec
    return dataclasses.replace(clip_spec, mean=mean, std=std)
