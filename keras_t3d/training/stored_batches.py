"""Training from stored outputs of the frozen stages: they are computed once, not at every step."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_t3d.clips.padded_labels import padded_labels
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.frozen_stages import split_after_frozen
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.learner import Learner
from keras_t3d.training import run_directory
from keras_t3d.training.clips import (
    ClipBatches,
    training_reader,
    validation_reader,
    validation_split,
)
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.run import RunSetup
from keras_t3d.training.stored_outputs import record_numbers, stored_outputs


class RestLearner(Learner):
    """A Learner that reads the outputs of a network's frozen stages, and trains the rest.

    Args:
        network: the network to train.
        rest: what follows its frozen stages, see `split_after_frozen`.
        accumulation: see Learner.
    """

    def __init__(self, network: VideoClassifier, rest: keras.Model, accumulation: int) -> None:
        super().__init__(network, accumulation)
        self.rest = rest

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.rest(inputs, training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.rest.compute_output_shape(input_shape)


class StoredBatches:
    """Batches of stored features, in the order in which ClipReader reads the videos.

    The first `stored_views` epochs are those of training without stored features. Later epochs
    take turns with their views, each in a new order.

    Args:
        network: the network to train.
        config: configuration of the run.
        setup: its folder, shards and devices.

    Raises:
        InvalidArgumentError: if no stage is frozen, clips are mixed, or several machines train.

    Attributes:
        rest: the part of the network that follows the frozen stages.
    """

    def __init__(self, network: VideoClassifier, config: TrainConfig, setup: RunSetup) -> None:
        parts = split_after_frozen(network)
        if parts is None or not parts[0].variables:
            raise _refusal(
                "unless the first stages are frozen, as by `model.freeze` [stem]", config
            )
        if config.data.augmentation.mixes or config.data.augmentation.repeats > 1:
            raise _refusal("with mixup, cutmix or repeats", config)
        if setup.devices.worker[1] > 1:
            raise _refusal("if several machines train", config)
        self._beginning, self.rest = parts
        self._config = config
        self._setup = setup
        self._folder = setup.folder / run_directory.STORED_FEATURES
        self._clips = ClipBatches(config, setup.shards, setup.devices)

    def check(self) -> None:
        """Checks that the shards have the clips, before anything is written."""
        self._clips.check()

    def training(self, step: int) -> Any:
        """Returns endless training batches from a step on."""
        config, steps = self._config, self._setup.steps_per_epoch
        size, views = config.data.batch_size, config.stored_views
        single = dataclasses.replace(config.data, batch_size=1)
        reader = training_reader(dataclasses.replace(config, data=single), self._setup.shards)
        order = functools.lru_cache(maxsize=2)(functools.partial(record_numbers, reader))
        features = stored_outputs(self._beginning, reader, views, self._folder)

        def batch(number: int) -> Any:
            epoch, position = divmod(number, steps)
            videos = order(epoch)[position * size : (position + 1) * size]
            return features.values[epoch % views][videos], features.labels[videos]

        if keras.backend.backend() != "tensorflow":
            return map(batch, itertools.count(step))
        return _as_tf_dataset(batch, step, None)

    def validation(self) -> Any | None:
        """Returns the validation split in padded batches, or None without one."""
        split = validation_split(self._config, self._setup.shards)
        if split is None:
            return None
        reader = validation_reader(self._config, self._setup.shards, self._setup.devices, split)
        steps, count = reader.steps_per_epoch, reader.records.num_videos
        size = self._config.data.batch_size
        features = stored_outputs(self._beginning, reader, 1, self._folder)

        def batch(number: int) -> Any:
            numbers = np.arange(number * size, (number + 1) * size)
            videos, is_real = numbers % count, (numbers < count).astype(np.float32)
            return features.values[0][videos], padded_labels(features.labels[videos], is_real)

        if keras.backend.backend() != "tensorflow":
            return _Batches(batch, steps)
        return _as_tf_dataset(batch, 0, steps)

    def statistics(self, count: int) -> Iterator[Any]:
        """Returns the clips of the first `count` training batches, for the whole network."""
        return self._clips.statistics(count)


def _refusal(when: str, config: TrainConfig) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"`stored_views` must be 0 {when}. Received: {config.stored_views}",
        argument="stored_views",
    )


def _as_tf_dataset(batch: Callable[[int], Any], first: int, count: int | None) -> Any:
    """Returns batches by their numbers, from the first on; `count` None is without end."""
    import tensorflow as tf

    from keras_t3d.data.clips.python_calls import call_python
    from keras_t3d.data.clips.tensorflow_records import finish_dataset

    example = batch(first)
    arrays = tf.nest.flatten(example)

    @tf.autograph.experimental.do_not_convert  # there is nothing to convert, which takes a second
    def tensors(number: tf.Tensor) -> Any:
        parts = call_python(
            lambda number: tf.nest.flatten(batch(int(number))),
            [number],
            [array.dtype for array in arrays],
        )
        shaped = [
            tf.ensure_shape(part, array.shape) for part, array in zip(parts, arrays, strict=True)
        ]
        return tf.nest.pack_sequence_as(example, shaped)

    if count is None:
        numbers, cardinality = tf.data.Dataset.counter(first), tf.data.INFINITE_CARDINALITY
    else:
        numbers, cardinality = tf.data.Dataset.range(first, first + count), count
    return finish_dataset(numbers.map(tensors), cardinality)


class _Batches(keras.utils.PyDataset):
    """A number of batches, by their index."""

    def __init__(self, batch: Callable[[int], Any], count: int) -> None:
        super().__init__()
        self._batch = batch
        self._count = count

    @property
    def num_batches(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        return self._batch(index)
