"""Exports a network as a SavedModel that TF Serving serves: frames in, class names out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.artifact_files import artifact_texts
from keras_t3d.atomic import written_beside
from keras_t3d.clips import (
    ClipSpec,
    clip_frames_tensorflow,
    resize_and_crop_tensorflow,
    take_view_tensorflow,
)
from keras_t3d.deploy.comparison import (
    check_classifier,
    check_difference,
    comparison_clips,
    largest_difference,
)
from keras_t3d.models import VideoClassifier
from keras_t3d.models.parts import EMBEDDING

TOLERANCE = 1e-5  # by how much a probability may differ from the Keras model's
_TOP = 5  # classes that come with a name


@dataclasses.dataclass(frozen=True)
class SavedModelReport:
    """What `export_saved_model` wrote.

    Args:
        path: Path of the version's folder.
        num_bytes: int. Size of all its files.
        largest_difference: float. Largest absolute difference of a probability from
            the Keras model's, over the clips compared.
        num_clips: int. Clips compared.
    """

    path: Path
    num_bytes: int
    largest_difference: float
    num_clips: int


def export_saved_model(
    model: VideoClassifier, directory: str | os.PathLike[str], calibration: Any = None
) -> SavedModelReport:
    """Writes the next version of the network under `directory`, and checks it against Keras.

    Versions are the folders `directory/1`, `directory/2` and so on. A version appears
    whole: a TF Serving that watches the directory never meets half of one.

    | signature | input | output |
    | --- | --- | --- |
    | `serving_default` | `clips`: uint8 (B, frames, H, W, 3), any sizes | probabilities |
    | `serve_jpeg` | `frames`: encoded images, string (B, frames) | probabilities |
    | `views` | `clips`: uint8 (B, T, H, W, 3), the model's input as it is | probabilities |
    | `features` | as `serving_default` | `embedding`: float32 (B, width) |

    Where it says probabilities, the outputs are `probabilities`, float32 (B, classes),
    and the five best classes, best first: `top_classes`, strings (B, 5), and
    `top_scores`, float32 (B, 5). All but `views` take the centre view in the graph.
    `assets.extra/` holds `labels.txt` (one class per line) and `clip_spec.json`.

    Args:
        model: VideoClassifier, with an `"embedding"` layer, under Keras's TensorFlow
            backend.
        directory: str or path. The folder of the versions.
        calibration: uint8 array of shape (clips, T, H, W, 3) or an iterable of such
            batches, the clips to compare on; None compares on clips of the motion
            set. Defaults to `None`.

    Returns:
        A SavedModelReport.

    Raises:
        ValueError: if an argument is out of its range.
        RuntimeError: if the probabilities of the version, read back, differ from the
            Keras model's by more than `TOLERANCE`. Nothing is written then.

    Example:

    ```python
    report = export_saved_model(model, "serving/t3d")  # writes serving/t3d/1
    served = tf.saved_model.load(report.path).signatures["serving_default"]
    served(clips=tf.zeros((1, 40, 240, 320, 3), tf.uint8))["top_classes"]
    ```
    """
    check_classifier(model)
    _check_backend()
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ValueError(
            f"`directory` must be a folder, new or old, for example 'serving/t3d'. "
            f"Received: a file, {directory}"
        )
    clips = comparison_clips(model.clip_spec, calibration)

    is_new = not directory.exists()
    version = directory / str(_last_version(directory) + 1)
    try:
        # Renamed when whole: TF Serving reads folders whose names are numbers, and no others.
        with written_beside(version) as part:
            part.mkdir()
            _archive(model).write_out(str(part), verbose=False)
            _write_extra_assets(part / "assets.extra", model)
            views = tf.saved_model.load(str(part)).signatures["views"]
            difference = largest_difference(
                model, clips, lambda clip: views(clips=tf.constant(clip))["probabilities"].numpy()
            )
            check_difference(difference, TOLERANCE)
    except BaseException:
        if is_new and directory.is_dir():
            directory.rmdir()
        raise
    num_bytes = sum(file.stat().st_size for file in version.rglob("*") if file.is_file())
    return SavedModelReport(version, num_bytes, difference, len(clips))


def _check_backend() -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is written under Keras's TensorFlow backend: save the model, set "
            "KERAS_BACKEND=tensorflow, load it there and export it. "
            f"Received: the {keras.backend.backend()} backend"
        )


def _last_version(directory: Path) -> int:
    entries = directory.iterdir() if directory.is_dir() else ()
    versions = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    return max(versions, default=0)


def _write_extra_assets(directory: Path, model: VideoClassifier) -> None:
    directory.mkdir()
    for name, text in artifact_texts(model.class_names, model.clip_spec).items():
        (directory / name).write_text(text, encoding="utf-8")


# The signatures.


def _archive(model: VideoClassifier) -> keras.export.ExportArchive:
    spec = model.clip_spec
    if EMBEDDING not in {layer.name for layer in model.layers}:
        raise ValueError(
            "The `features` signature gives the output of the layer before the classifying one: "
            f"name that layer {EMBEDDING!r}, for example "
            f"keras.layers.GlobalAveragePooling3D(name={EMBEDDING!r}). "
            f"Received: a model with layers {[layer.name for layer in model.layers]}"
        )
    embed = model.feature_model()
    answer = _answer(model)
    video = tf.TensorSpec((None, None, None, None, 3), tf.uint8, name="clips")
    frames = tf.TensorSpec((None, None), tf.string, name="frames")
    view = tf.TensorSpec((None, *spec.input_shape), tf.uint8, name="clips")

    def serve_clips(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(_centre_views(clips, spec))

    def serve_jpeg(frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(_centre_views_of_encoded(frames, spec))

    def features(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        embedding = embed(_centre_views(clips, spec), training=False)
        return {"embedding": tf.cast(embedding, tf.float32)}

    # No `archive.track(model)`: the archive finds the variables that its endpoints use,
    # and Keras 3.15 writes those that are tracked too a second time.
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", serve_clips, input_signature=[video])
    archive.add_endpoint("serve_jpeg", serve_jpeg, input_signature=[frames])
    archive.add_endpoint("views", answer, input_signature=[view])
    archive.add_endpoint("features", features, input_signature=[video])
    return archive


def _answer(model: VideoClassifier) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """The function from views to what a client reads."""
    names = list(model.class_names)

    def answer(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(clips, training=False)
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        scores, classes = tf.math.top_k(probabilities, min(_TOP, len(names)))
        return {
            "probabilities": probabilities,
            "top_classes": tf.gather(tf.constant(names), classes),
            "top_scores": scores,
        }

    return answer


def _centre_views(clips: tf.Tensor, spec: ClipSpec) -> tf.Tensor:
    return tf.map_fn(
        lambda frames: take_view_tensorflow(frames, spec),
        clips,
        fn_output_signature=tf.TensorSpec(spec.input_shape, tf.uint8),
    )


def _centre_views_of_encoded(frames: tf.Tensor, spec: ClipSpec) -> tf.Tensor:
    """Chooses first and decodes only what was chosen: the same views, for less work."""

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda image: tf.io.decode_jpeg(image, channels=3),
            encoded,
            fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8),
        )

    chosen = tf.gather(frames, clip_frames_tensorflow(tf.shape(frames)[1], spec), axis=1)
    return tf.map_fn(
        lambda encoded: resize_and_crop_tensorflow(decode(encoded), spec),
        chosen,
        fn_output_signature=tf.TensorSpec(spec.input_shape, tf.uint8),
    )
