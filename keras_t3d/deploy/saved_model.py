"""Exports a network as a SavedModel that TF Serving serves: frames in, class names out."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.artifact_files import LABELS, artifact_texts
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
from keras_t3d.deploy.folding import fold
from keras_t3d.deploy.request_checks import (
    checked_encoded,
    checked_jpeg,
    checked_names,
    checked_videos,
    checked_views,
)
from keras_t3d.deploy.warmup import WARMUP_REQUESTS, write_warmup_requests
from keras_t3d.deploy.weights import in_float32
from keras_t3d.models import VideoClassifier
from keras_t3d.models.parts import EMBEDDING

TOLERANCE = 1e-5  # by how much a probability may differ from the Keras model's
_TOP = 5  # classes that come with a name
# Up to here weights become constants of a folded graph, a fourth less time a clip. TensorFlow
# copies a graph often: 20 times their bytes when it is loaded and run, 45 times on export.
_MOST_FOLDED_BYTES = 200e6


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
    | `serve_jpeg` | `frames`: JPEG images, string (B, frames) | probabilities |
    | `views` | `clips`: uint8 (B, T, H, W, 3), the model's input as it is | probabilities |
    | `features` | as `serving_default` | `embedding`: float32 (B, width) |
    | `files` | `names`: string (n,) | `contents`: string (n,), of the model's text files |

    Where it says probabilities, the outputs are `probabilities`, float32 (B, classes),
    and the five best classes, best first: `top_classes`, strings (B, 5), and
    `top_scores`, float32 (B, 5). All but `views` take the centre view in the graph.
    The network computes in float32, whatever the model's dtype policy, and up to 200 MB of
    weights it is folded for inference (`keras_t3d.deploy.folding`), with its weights as
    constants of the graph. All signatures share one copy of the weights.
    `assets.extra/` holds `labels.txt` (one class per line) and `clip_spec.json`, the two
    that `files` gives to whom the folder is out of reach, and the requests that TF Serving
    warms up with. `assets/labels.txt` is the same list as an asset of the graph.

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
            _write_extra_assets(part / "assets.extra", model)
            _write(model, part)
            views = tf.saved_model.load(str(part)).signatures["views"]
            difference = largest_difference(
                in_float32(model),
                clips,
                lambda clip: views(clips=tf.constant(clip))["probabilities"].numpy(),
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
    write_warmup_requests(directory / WARMUP_REQUESTS, model.clip_spec)


# The signatures.


def _write(model: VideoClassifier, folder: Path) -> None:
    spec, texts = model.clip_spec, artifact_texts(model.class_names, model.clip_spec)
    graph = _logits_and_embedding(model)  # held until all is written: TensorFlow does not
    network = _traced(graph, spec)
    answer = _answer(model, network)
    video = tf.TensorSpec((None, None, None, None, 3), tf.uint8, name="clips")
    frames = tf.TensorSpec((None, None), tf.string, name="frames")
    view = tf.TensorSpec((None, *spec.input_shape), tf.uint8, name="clips")
    names = tf.TensorSpec((None,), tf.string, name="names")

    @tf.function(input_signature=[video])
    def serve_clips(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(_centre_views(checked_videos(clips, "serving_default"), spec))

    @tf.function(input_signature=[frames])
    def serve_jpeg(frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(_centre_views_of_encoded(checked_encoded(frames), spec))

    @tf.function(input_signature=[view])
    def views(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(checked_views(clips))

    @tf.function(input_signature=[video])
    def features(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": network(_centre_views(checked_videos(clips, "features"), spec))[1]}

    @tf.function(input_signature=[names])
    def files(names: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"contents": _contents(names, texts)}

    served = tf.Module()
    served.labels = tf.saved_model.Asset(str(folder / "assets.extra" / LABELS))
    # None in a folded network, unless a layer holds one that Keras does not know.
    captured = {id(tensor) for tensor in network.captured_inputs}
    served.captured = [v for v in network.graph.variables if id(v.handle) in captured]
    signatures = {
        "serving_default": serve_clips,
        "serve_jpeg": serve_jpeg,
        "views": views,
        "features": features,
        "files": files,
    }
    # Gradients of the graph would hold its constants a second time.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(served, str(folder), signatures, options)


def _logits_and_embedding(model: VideoClassifier) -> keras.Model:
    """The network of both outputs, in float32."""
    if EMBEDDING not in {layer.name for layer in model.layers}:
        raise ValueError(
            "The `features` signature gives the output of the layer before the classifying one: "
            f"name that layer {EMBEDDING!r}, for example "
            f"keras.layers.GlobalAveragePooling3D(name={EMBEDDING!r}). "
            f"Received: a model with layers {[layer.name for layer in model.layers]}"
        )
    outputs = [model.outputs[0], model.get_layer(EMBEDDING).output]
    return in_float32(keras.Model(model.inputs[0], outputs))


def _traced(graph: keras.Model, spec: ClipSpec) -> Any:
    """The function from views to logits and embedding, traced once for all signatures.

    Traced in each, its constants would be stored with each.
    """
    small = 4 * graph.count_params() <= _MOST_FOLDED_BYTES
    network = fold(graph) if small else functools.partial(graph, training=False)
    return tf.function(network, autograph=False).get_concrete_function(
        tf.TensorSpec((None, *spec.input_shape), tf.uint8)
    )


def _answer(model: VideoClassifier, network: Any) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """The function from views to what a client reads."""
    names = list(model.class_names)

    def answer(clips: tf.Tensor) -> dict[str, tf.Tensor]:
        logits, _ = network(clips)
        probabilities = tf.nn.softmax(logits)
        scores, classes = tf.math.top_k(probabilities, min(_TOP, len(names)))
        return {
            "probabilities": probabilities,
            "top_classes": tf.gather(tf.constant(names), classes),
            "top_scores": scores,
        }

    return answer


def _contents(names: tf.Tensor, texts: Mapping[str, str]) -> tf.Tensor:
    """The text files of these names. TF Serving hands out no file of a model's folder."""
    names = checked_names(names)
    matches = tf.equal(names[:, None], tf.constant(list(texts)))
    known = tf.debugging.Assert(
        tf.reduce_all(tf.reduce_any(matches, axis=1)),
        [f"files: the model has the files {', '.join(texts)}. Received: another name"],
    )
    with tf.control_dependencies([known]):
        return tf.gather(list(texts.values()), tf.argmax(tf.cast(matches, tf.int32), axis=1))


def _centre_views(clips: tf.Tensor, spec: ClipSpec) -> tf.Tensor:
    return tf.map_fn(
        lambda frames: take_view_tensorflow(frames, spec),
        clips,
        fn_output_signature=tf.TensorSpec(spec.input_shape, tf.uint8),
    )


def _centre_views_of_encoded(frames: tf.Tensor, spec: ClipSpec) -> tf.Tensor:
    """Chooses first and decodes only what was chosen: the same views, for less work.

    Frame by frame, so that large ones are not held all at once.
    """
    of_a_frame = dataclasses.replace(spec, num_frames=1)

    def view(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(checked_jpeg(encoded), channels=3)
        return resize_and_crop_tensorflow(image[None], of_a_frame)[0]

    chosen = tf.gather(frames, clip_frames_tensorflow(tf.shape(frames)[1], spec), axis=1)
    views = tf.map_fn(
        view,
        tf.reshape(chosen, (-1,)),
        fn_output_signature=tf.TensorSpec(spec.input_shape[1:], tf.uint8),
    )
    return tf.reshape(views, (-1, *spec.input_shape))
