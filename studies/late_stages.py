"""Trains what follows the frozen stages of `t3d_lite0`, on their stored outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from temporal_videos import LAST_FROZEN, Videos, frozen_stages

from keras_t3d.models.options import EMBEDDING
from keras_t3d.optimization import CrossEntropy, Learner, make_optimizer
from keras_t3d.training.linear_head import fit_head

BATCH = 8
EPOCHS, LEAST_STEPS = 6, 120
RATE, NEW_RATE = 1e-4, 10.0  # and its factor for temporal layers, which have no ImageNet weights


@dataclasses.dataclass(frozen=True)
class Scores:
    """What a network makes of the videos that it is scored on.

    Attributes:
        start: top-1 in percent before training, as a linear classifier.
        correct: bool (videos,), whether each is right after training.
    """

    start: float
    correct: np.ndarray

    @property
    def top1(self) -> float:
        """Top-1 in percent after training."""
        return percent(self.correct)


def linear_classifier(videos: Videos, options: Mapping[str, Any], train: np.ndarray) -> keras.Model:
    """Returns what follows the frozen stages of a network, as training starts.

    Args:
        videos: all videos.
        options: options of the network.
        train: numbers of the videos that the logistic regression is fitted to.
    """
    network, _, rest = frozen_stages(options, videos.class_names, videos.pixels)
    last_frozen = network.get_layer(network.stages[LAST_FROZEN])
    embedding = keras.Model(last_frozen.output, network.get_layer(EMBEDDING).output)
    features = embedding.predict(videos.centre(train), batch_size=BATCH, verbose=0)
    fit_head(network, features, videos.labels[train])
    return rest


def train_late_stages(
    videos: Videos,
    options: Mapping[str, Any],
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
    new_rate: float = NEW_RATE,
) -> Scores:
    """Trains a network after its frozen stages, from a logistic regression, and scores it once.

    Args:
        videos: all videos.
        options: options of the network.
        train: numbers of the videos to train on.
        test: numbers of the videos to score.
        seed: seed of fresh weights, dropout, order and views.
        new_rate: factor of the learning rate of temporal layers.
    """
    keras.utils.set_random_seed(seed)
    rest = linear_classifier(videos, options, train)
    start = percent(is_right(rest, videos, test))

    random = np.random.default_rng(seed)
    epochs = max(EPOCHS, -(-LEAST_STEPS * BATCH // len(train)))
    steps = len(train) // BATCH

    def batches() -> Any:
        for _ in range(epochs):
            order = random.permutation(train)[: steps * BATCH].reshape(steps, BATCH)
            for numbers in order:
                views = random.integers(0, len(videos.values) - 1, BATCH)
                yield videos.values[views, numbers], videos.labels[numbers]

    learner = Learner(rest)
    rate = keras.optimizers.schedules.CosineDecay(RATE, epochs * steps)
    of_images = {id(v) for v in rest.trainable_variables if not _is_temporal(v.path)}
    learner.compile(
        make_optimizer(
            "adamw",
            rate,
            weight_decay=0.01,
            rate_of=lambda variable: 1.0 if id(variable) in of_images else new_rate,
        ),
        CrossEntropy(0.1),
    )
    learner.fit(batches(), epochs=epochs, steps_per_epoch=steps, verbose=0)
    return Scores(start, is_right(rest, videos, test))


def _is_temporal(path: str) -> bool:
    return any(part in path for part in ("transition", "over_time", "stc"))


def is_right(rest: keras.Model, videos: Videos, numbers: np.ndarray) -> np.ndarray:
    """Returns whether the layers after the frozen stages name the class of each of some videos."""
    logits = rest.predict(videos.centre(numbers), batch_size=BATCH, verbose=0)
    return np.asarray(logits.argmax(-1) == videos.labels[numbers])


def percent(right: np.ndarray) -> float:
    """Returns how many of some videos are right."""
    return round(100 * float(np.mean(right)), 2)
