"""Makes the loss, the metrics and the optimizer of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.cross_entropy import CrossEntropy
from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy
from keras_t3d.optimization.optimizers import Rate, has_own_decay, make_optimizer
from keras_t3d.optimization.schedules import WarmUp
from keras_t3d.optimization.stages import checked_stages, layers_by_stage
from keras_t3d.training.config import RunConfig, TrainConfig
from keras_t3d.training.optimizer_config import OptimizerConfig


def new_optimizer(
    config: RunConfig, network: VideoClassifier, steps: int
) -> keras.optimizers.Optimizer:
    """Makes the configured optimizer for a network.

    Args:
        config: configuration of the run.
        network: the network to train.
        steps: training steps per epoch.

    Returns:
        A Keras optimizer, with loss scaling for float16.

    Raises:
        InvalidArgumentError: if there is no such optimizer, option or stage.
    """
    ours = config.optimizer
    options = dict(ours.options)
    if ours.name.lower() == "sgd":
        options = {"momentum": ours.momentum, "nesterov": ours.nesterov, **options}
    # None disables it, but some optimizers decay by default.
    options["weight_decay"] = ours.weight_decay or (0.0 if has_own_decay(ours.name) else None)
    for name in ("global_clipnorm", "clipnorm", "clipvalue"):
        if getattr(ours, name) is not None:
            options[name] = getattr(ours, name)
    if ours.ema is not None:
        options |= {"use_ema": True, "ema_momentum": ours.ema}
    optimizer = make_optimizer(
        ours.name,
        _learning_rate(config, steps),
        l2=ours.l2,
        decays=None if ours.decay_all else lambda variable: len(variable.shape) > 1,
        rate_of=_rate_by_stage(ours, network),
        **options,
    )
    if config.model.dtype == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def highest_rate(config: RunConfig) -> float:
    """Returns the highest learning rate, scaled to the batch size if `base_batch_size` is set."""
    base = config.optimizer.base_batch_size or config.data.batch_size
    return config.optimizer.learning_rate * config.data.batch_size / base


def _learning_rate(config: RunConfig, steps: int) -> Rate:
    ours, highest = config.optimizer, highest_rate(config)
    warmup = min(round(ours.warmup_epochs * steps), config.epochs * steps - 1)
    rate: Rate = highest  # constant, or set by Plateau
    if ours.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(highest, config.epochs * steps - warmup)
    elif ours.schedule == "step":
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            # The last step with a rate, counted from the end of the warm-up.
            [epoch * steps - warmup - 1 for epoch in ours.step_epochs],
            [highest * ours.factor**n for n in range(len(ours.step_epochs) + 1)],
        )
    return WarmUp(warmup, rate) if warmup else rate


def _rate_by_stage(
    config: OptimizerConfig, network: VideoClassifier
) -> Callable[[Any], float] | None:
    if not config.stage_rates:
        return None
    checked_stages(network, config.stage_rates, "optimizer.stage_rates")
    factors = {
        id(variable): config.stage_rates.get(stage, 1.0)
        for stage, layers in layers_by_stage(network).items()
        for layer in layers
        for variable in layer.trainable_variables
    }
    # Variables outside the network, such as a matching head, have factor 1.
    return lambda variable: factors.get(id(variable), 1.0)


def new_loss(config: TrainConfig, shards: ShardSet) -> CrossEntropy:
    """Makes the configured loss; balanced weights are those of the training split.

    Raises:
        InvalidArgumentError: if a weight is for an unknown class.
    """
    weights, names = config.loss.class_weights, shards.class_names
    if weights == "none":
        return CrossEntropy(config.loss.label_smoothing)
    if weights == "balanced":
        counts = shards.manifest["splits"][config.data.train_split]["per_class"]
        known = [name for name in names if counts[name]]
        videos = sum(counts[name] for name in known)
        balanced = {name: videos / (len(known) * counts[name]) for name in known}
        return CrossEntropy(config.loss.label_smoothing, [balanced.get(n, 0.0) for n in names])
    unknown = [name for name in weights if name not in names]
    if unknown:
        raise InvalidArgumentError(
            "`loss.class_weights` must name classes of the shards, for example "
            f"{', '.join(names[:5])}. Received: {unknown}",
            argument="loss.class_weights",
        )
    return CrossEntropy(config.loss.label_smoothing, [weights.get(n, 1.0) for n in names])


def new_metrics(config: TrainConfig, num_classes: int) -> list[keras.metrics.Metric]:
    """Makes cross-entropy, top-1, top-5 (for more than 5 classes) and mean class accuracy."""
    kind = "" if config.data.augmentation.mixes else "Sparse"
    cross_entropy = getattr(keras.metrics, f"{kind}CategoricalCrossentropy")
    accuracy = getattr(keras.metrics, f"{kind}CategoricalAccuracy")
    exact = {"dtype": "float32"}  # whatever Keras's global float type is
    metrics = [
        cross_entropy(from_logits=True, name="cross_entropy", **exact),
        accuracy(name="top1", **exact),
    ]
    if num_classes > 5:
        top_k = getattr(keras.metrics, f"{kind}TopKCategoricalAccuracy")
        metrics.append(top_k(5, name="top5", **exact))
    return [*metrics, MeanClassAccuracy(num_classes)]
