"""Loads models from memory or disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from keras_t3d.artifact_files import check_model_exists, model_file
from keras_t3d.errors import InvalidArgumentError, check_argument
from keras_t3d.inference.artifact_formats import artifact_format, check_has_layers
from keras_t3d.inference.predictor import Embedder, Predictor
from keras_t3d.inference.stream_predictor import StreamPredictor

if TYPE_CHECKING:
    from keras_t3d.models.video_classifier import VideoClassifier


def load_predictor(model: Any) -> Predictor:
    """Returns a predictor for a model in memory or on disk.

    Args:
        model: VideoClassifier, Predictor, or path of a `.keras` file, of an exported model (see
            `keras_t3d/inference/artifact_formats.py`) or of a run directory, whose best model is
            taken.

    Returns:
        A Predictor; a StreamPredictor if the file was exported with `streaming`.

    Raises:
        InvalidArgumentError: if it is not a model of this package.

    Example:

    ```python
    predictor = keras_t3d.inference.load_predictor("best.keras")
    predictor.class_names
    ```
    """
    if hasattr(model, "probabilities"):
        return model
    if not isinstance(model, (str, os.PathLike)):
        from keras_t3d.inference.keras_predictor import KerasPredictor

        return KerasPredictor(_checked_classifier(model))
    path = _existing(model)
    artifact = artifact_format(path)
    if artifact is not None:
        return artifact.load(path)
    from keras_t3d.inference.keras_predictor import KerasPredictor
    from keras_t3d.models.load import load_keras_model

    return KerasPredictor(load_keras_model(path))


def load_stream(model: Any, options: Any = None) -> StreamPredictor:
    """Returns a predictor that streams; see `Stream` for the arguments and what is raised."""
    if isinstance(model, StreamPredictor):
        return model
    if isinstance(model, (str, os.PathLike)):
        path = _existing(model)
        artifact = artifact_format(path)
        if artifact is not None:
            predictor = artifact.load(path)
            if not isinstance(predictor, StreamPredictor):
                raise InvalidArgumentError(
                    "`model` must be a stream, and this one reads whole clips: export a causal "
                    f"network with `streaming`. Received: {path}",
                    argument="model",
                )
            rule = "left out for an exported stream, which has its own"
            check_argument("options", options, options is None, rule)
            return predictor
        from keras_t3d.models.load import load_keras_model

        model = load_keras_model(path)
    from keras_t3d.inference.keras_steps import keras_stream

    return keras_stream(_checked_classifier(model), options)


def load_embedder(model: Any) -> Embedder:
    """Returns what computes the embeddings of clips with a model in memory or on disk.

    Args:
        model: VideoClassifier, Embedder, or path of a `.keras` file, of an exported model that
            returns embeddings, or of a run directory, whose best model is taken.

    Raises:
        InvalidArgumentError: if it is not a model of this package, or has no embedding.

    Example:

    ```python
    embedder = keras_t3d.inference.load_embedder("best.keras")
    keras_t3d.inference.write_embeddings(embedder, "films", "embeddings.npz")
    ```
    """
    if hasattr(model, "embeddings"):
        return model
    if isinstance(model, (str, os.PathLike)):
        path = _existing(model)
        artifact = artifact_format(path)
        predictor: Any = None if artifact is None else artifact.load(path)
        if hasattr(predictor, "embeddings"):
            return predictor
    from keras_t3d.inference.keras_embedder import KerasEmbedder

    return KerasEmbedder(load_layers(model))


def load_layers(model: Any) -> VideoClassifier:
    """Returns a model, in memory or on disk, of which all layers can be read.

    Args:
        model: VideoClassifier, or path of a `.keras` file or a run directory, whose best model is
            taken.

    Raises:
        InvalidArgumentError: if it is not a Keras model of this package.

    Example:

    ```python
    load_layers("best.keras").stages
    ```
    """
    if not isinstance(model, (str, os.PathLike)):
        return _checked_classifier(model)
    path = _existing(model)
    check_has_layers(path)
    from keras_t3d.models.load import load_keras_model

    return load_keras_model(path)


def _existing(model: str | os.PathLike[str]) -> str:
    path = model_file(model)
    check_model_exists(path)
    return path


def _checked_classifier(model: Any) -> Any:
    from keras_t3d.models.video_classifier import VideoClassifier

    if not isinstance(model, VideoClassifier):
        raise InvalidArgumentError(
            "`model` must be a VideoClassifier, a Predictor or the path of a model, for "
            f"example 'runs/a/best.keras'. Received: {type(model).__name__}",
            argument="model",
        )
    return model
