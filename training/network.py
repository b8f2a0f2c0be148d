"""The network that a run trains."""

from __future__ import annotations

import dataclasses

from keras_t3d.clips import ClipSpec
from keras_t3d.inference.load import load_keras_model
from keras_t3d.models.names import create
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.batch_statistics import synchronize_batch_norms
from keras_t3d.optimization.stages import checked_stages, layers_by_stage
from keras_t3d.training.config import ModelConfig, TrainConfig


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
    network = network_for(config.model, _normalized_as(source, config.clip), class_names)
    fresh = network.copy_weights_from(source)
    print(f"Started from {init}; new weights: {', '.join(fresh) or 'none'}.")
    return network


def network_for(
    config: ModelConfig, spec: ClipSpec, class_names: tuple[str, ...]
) -> VideoClassifier:
    """Makes the configured network for clips of a spec; frozen stages are frozen."""
    options = dict(config.options)
    if config.rematerialize:
        options["rematerialize"] = True
    network = create(
        config.name,
        input_shape=spec.input_shape,
        num_classes=len(class_names),
        class_names=class_names,
        clip_spec=spec,
        dropout=config.dropout,
        dtype=config.dtype,
        **options,
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


def _normalized_as(source: VideoClassifier, spec: ClipSpec) -> ClipSpec:
    """The configured clip with the mean and std that the weights were trained with.

    A mean or std that the configuration names itself stays, for `copy_weights_from` to refuse.
    """
    theirs, default = source.clip_spec, ClipSpec()
    if (spec.mean, spec.std) != (default.mean, default.std):
        return spec
    return dataclasses.replace(spec, mean=theirs.mean, std=theirs.std)
