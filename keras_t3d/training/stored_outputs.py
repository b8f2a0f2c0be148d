"""Computes what frozen stages make of the clips of a reader, once."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_t3d.clips.padded_labels import LABELS, is_padded
from keras_t3d.data.clips.order import epoch_order
from keras_t3d.data.clips.reader import ClipReader
from keras_t3d.progress import progress_bar
from keras_t3d.training.clips import read_batches
from keras_t3d.training.stored_features import StoredFeatures, new_features, open_features

_CLIPS_PER_PREDICTION = 8


def stored_outputs(
    beginning: keras.Model, reader: ClipReader, views: int, folder: pathlib.Path
) -> StoredFeatures:
    """Returns the outputs of a model for views of every record of a reader.

    They are computed unless the folder has them. View `v` of a training reader is its epoch `v`.

    Args:
        beginning: model of clips, with one output.
        reader: with labels; in training with `repeat` and a batch size of 1, so that no record
            is left out.
        views: number of views, 1 for evaluation.
        folder: where the outputs are stored.

    Raises:
        InvalidArgumentError: if the disk has too little space.
        StoredFeaturesError: if an output is too large for float16.
    """
    name = f"{reader.split}-{'training' if reader.training else 'evaluation'}"
    source = _source(beginning, reader, views)
    stored = open_features(folder, name, source)
    if stored is not None:
        return stored
    records = reader.records.num_videos
    orders = [
        record_numbers(reader, view) if reader.training else np.arange(records)
        for view in range(views)
    ]
    places = [(view, record) for view, order in enumerate(orders) for record in order.tolist()]
    clips = itertools.islice(_single_clips(read_batches(reader)), len(places))
    shape = (views, records, *beginning.output_shape[1:])
    with (
        new_features(folder, name, source, shape) as new,
        progress_bar("frozen stages", f"clips of {reader.split}") as progress,
    ):
        for first in range(0, len(places), _CLIPS_PER_PREDICTION):
            batch = list(itertools.islice(clips, _CLIPS_PER_PREDICTION))
            # Another batch size would be compiled again.
            filled = [clip for clip, _ in batch] + [batch[-1][0]] * _CLIPS_PER_PREDICTION
            inputs = np.stack(filled[:_CLIPS_PER_PREDICTION])
            outputs = keras.ops.convert_to_numpy(beginning.predict_on_batch(inputs))
            for place, output, (_, label) in zip(places[first:], outputs, batch, strict=False):
                new.values[place] = output
                new.labels[place[1]] = label
            progress(first + len(batch), len(places))
    return new


def record_numbers(reader: ClipReader, epoch: int) -> np.ndarray:
    """Returns the number in its split of each record that an epoch reads, in order."""
    examples = reader.records.examples
    order = epoch_order(examples, reader.seed, epoch, reader.options.shuffle_buffer)
    return (np.cumsum(examples) - np.asarray(examples))[order[:, 0]] + order[:, 1]


def _source(beginning: keras.Model, reader: ClipReader, views: int) -> dict[str, Any]:
    """Returns what the outputs depend on, as JSON holds it."""
    weights = hashlib.sha256()
    for value in beginning.get_weights():
        weights.update(np.ascontiguousarray(value).tobytes())
    described = {
        "weights": weights.hexdigest(),
        "network": beginning.to_json(),
        "clip": reader.clip_spec.get_config(),
        "augmentation": dataclasses.asdict(reader.augmentation),
        "seed": reader.seed,
        "views": views,
        "shards": [shard.identity() for shard in reader.records.shards],
        "records": reader.records.examples,
    }
    return json.loads(json.dumps(described))


def _single_clips(batches: Iterable[Any]) -> Iterator[tuple[np.ndarray, int]]:
    """Yields clips and class ids one by one."""
    for clips, labels in batches:
        yield from zip(clips, labels[LABELS] if is_padded(labels) else labels, strict=True)
