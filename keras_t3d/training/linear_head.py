"""Fits a classifying layer to the features of a network that stays as it is."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_t3d.data.clips.reader import ClipReader
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.options import EMBEDDING
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.progress import Progress
from keras_t3d.training.clips import read_batches

# Inverse strength of the L2 penalty on standardized features. On JHMDB's splits, 0.0003 to 0.01
# differ by 2 points of accuracy, and this is the best of them.
INVERSE_PENALTY = 0.001
_NEVER = -20.0  # logit of a class without videos


def clip_features(
    network: VideoClassifier,
    shards: ShardSet,
    split: str,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the features of the middle clip of every record of a split.

    Args:
        network: the network; the features are what its classifying layer reads.
        shards: the shards, with labels.
        split: `"train"`, `"val"` or `"test"`.
        batch_size: clips per prediction.
        progress: called with (records done, records in all).

    Returns:
        float32 features (records, width), and int64 class ids (records,).
    """
    extractor = network.feature_model(EMBEDDING)
    reader = ClipReader(shards, split, network.clip_spec, batch_size)
    features, labels = [], []
    done, total = 0, shards.num_videos(split)
    with damage_named(shards):
        for clips, ids in read_batches(reader):
            values = extractor.predict_on_batch(_filled(clips, batch_size))[: len(clips)]
            features.append(keras.ops.convert_to_numpy(values).astype(np.float32))
            labels.append(ids)
            done += len(clips)
            if progress is not None:
                progress(done, total)
    return np.concatenate(features), np.concatenate(labels)


def _filled(clips: np.ndarray, batch_size: int) -> np.ndarray:
    """Repeats the last clip: another batch size would be compiled again."""
    missing = batch_size - len(clips)
    return np.concatenate([clips, clips[-1:].repeat(missing, axis=0)]) if missing else clips


def fit_head(network: VideoClassifier, features: np.ndarray, labels: np.ndarray) -> None:
    """Sets the classifying layer to a logistic regression of the features.

    Args:
        network: the network, whose classifying layer is a Dense layer named `"logits"`.
        features: float array (records, width).
        labels: class ids (records,).

    Raises:
        InvalidArgumentError: if the records have fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    present = np.unique(labels)
    if len(present) < 2:
        names = [network.class_names[index] for index in present]
        raise InvalidArgumentError(
            "A classifying layer needs training videos of at least two classes, better 10 or more "
            f"of each. Received: {len(labels)} of the classes {names}",
            argument="shards",
        )
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    regression.fit(scaler.transform(features), labels)
    weights, bias = regression.coef_, regression.intercept_
    if len(present) == 2:  # scikit-learn keeps the logit of the second class alone
        weights, bias = np.concatenate([-weights, weights]) / 2, np.append(-bias, bias) / 2
    weights = weights / scaler.scale_
    kernel = np.zeros((features.shape[1], network.num_classes))
    offset = np.full(network.num_classes, _NEVER)
    kernel[:, present] = weights.T
    offset[present] = bias - weights @ scaler.mean_
    head: Any = network.get_layer("logits")
    head.kernel.assign(kernel)
    head.bias.assign(offset)
