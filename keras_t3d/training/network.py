"""The network that a run trains."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import keras

from keras_t3d.clips import IMAGENET_MEAN, ClipSpec
from keras_t3d.inference.load import load_keras_model
from keras_t3d.models.names import create
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.batch_statistics import synchronize_batch_norms
from keras_t3d.optimization.stages import checked_stages, layers_by_stage
from keras_t3d.training.config import ModelConfig, TrainConfig
from keras_t3d.training.pretrain_config import PretrainConfig
from keras_t3d.transfer.frame_teacher import FrameTeacher
from keras_t3d.transfer.inflation import inflate, source_normalization


def new_network(
    config: TrainConfig, class_names: tuple[str, ...], init: str | None = None
) -> VideoClassifier:
    """Makes the configured network, with random weights or another model's.

    Args:
        config: TrainConfig.
        class_names: str, one a class.
        init: path of a `.keras` model to take the weights from; its head is replaced
            where the classes differ. Defaults to `None`.

    Returns:
        A VideoClassifier.

    Raises:
        ValueError: if network and options, or weights and network, do not fit.
    """
    if init is None:
        return network_for(config.model, config.clip, class_names)
    source = load_keras_model(init)
    theirs = source.clip_spec
    spec = normalized_as(config.clip, theirs.mean, theirs.std)
    network = network_for(config.model, spec, class_names)
    fresh = network.copy_weights_from(source)
    print(f"Started from {init}; new weights: {', '.join(fresh) or 'none'}.")
    return network


def network_for(
    config: ModelConfig, spec: ClipSpec, class_names: tuple[str, ...]
) -> VideoClassifier:
    """Makes the configured network for clips of a spec; frozen stages are frozen."""
    network = _created(
        config,
        spec,
        num_classes=len(class_names),
        class_names=class_names,
        dropout=config.dropout,
    )
    for stage in checked_stages(network, config.freeze, "model.freeze"):
        for layer in layers_by_stage(network)[stage]:
            layer.trainable = False
    if not network.trainable_variables:
        raise ValueError(
            f"`model.freeze` must leave something to train. Received: {list(config.freeze)}"
        )
    if config.synchronized_bn:
        synchronize_batch_norms(network)
    return network


def new_student(config: PretrainConfig, teacher: FrameTeacher) -> VideoClassifier:
    """Makes the configured network without a classifying layer, random or inflated.

    Args:
        config: PretrainConfig.
        teacher: FrameTeacher, from which to inflate where the configuration says so.

    Returns:
        A VideoClassifier without classes.

    Raises:
        ValueError: if network and options, or the 2D network and this one, do not fit.
    """
    if config.inflate is None:
        return student_for(config.model, config.clip)
    if config.inflate == "teacher":
        source: Any = teacher.network
        _check_same_pixels(source, config.teacher.preprocessing)
    else:
        source = _images_network(config.inflate)
    student = student_for(config.model, normalized_as(config.clip, **source_normalization(source)))
    print(inflate(student, source, config.inflate_mode))
    return student


def _check_same_pixels(source: Any, preprocessing: str) -> None:
    """`inflate` takes 2D networks for what keras.applications trained them on."""
    own = "torch" if source_normalization(source)["mean"] == IMAGENET_MEAN else "caffe"
    if preprocessing not in ("auto", own):
        raise ValueError(
            "`inflate: teacher` is for a teacher that sees pixels as those of keras.applications "
            f"do: DenseNets by preprocessing torch, ResNets by caffe, here {own}. "
            f"Received: teacher.preprocessing={preprocessing!r}"
        )


def student_for(config: ModelConfig, spec: ClipSpec) -> VideoClassifier:
    """Makes the configured network for clips of a spec, without a classifying layer."""
    student = _created(config, spec, include_top=False)
    if config.synchronized_bn:
        synchronize_batch_norms(student)
    return student


def _created(config: ModelConfig, spec: ClipSpec, **top: Any) -> VideoClassifier:
    options = dict(config.options)
    if config.rematerialize:
        options["rematerialize"] = True
    return create(
        config.name,
        input_shape=spec.input_shape,
        clip_spec=spec,
        dtype=config.dtype,
        **top,
        **options,
    )


def _images_network(path: str) -> Any:
    """What `inflate` takes: a `.keras` file's network, or the path of another checkpoint."""
    if not os.path.isfile(path):
        raise ValueError(
            "`inflate` must be teacher, null, or a file with a 2D network: a .keras file, or a "
            f"checkpoint of torchvision. Received: {path!r}, no file"
        )
    if path.endswith((".keras", ".h5")):
        return keras.saving.load_model(path, compile=False)
    return path


def normalized_as(
    spec: ClipSpec, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> ClipSpec:
    """Returns the configured clip with the mean and std that weights were trained with.

    A mean or std that the configuration names itself stays, to be refused with the weights.
    """
    default = ClipSpec()
    if (spec.mean, spec.std) != (default.mean, default.std):
        return spec
    return dataclasses.replace(spec, mean=mean, std=std)
