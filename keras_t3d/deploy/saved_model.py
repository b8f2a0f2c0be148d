"""Exports a network as a SavedModel that TF Serving serves: frames in, class names out."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.artifact_files import LABELS, artifact_texts
from keras_t3d.clips import (
    ClipSpec,
    clip_frames_tensorflow,
    resize_and_crop_tensorflow,
    take_view_tensorflow,
)
from keras_t3d.deploy.backend import check_backend
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
from keras_t3d.folder_lock import written_by_many
from keras_t3d.models import VideoClassifier
from keras_t3d.models.parts import EMBEDDING

TOLERANCE = 1e-5  # by how much a probability may differ from the Keras model's
_TOP = 5  # classes that come with a name
_FRAMES_AT_ONCE = 4  # JPEG images, which decode on one core each: 0.3 GB for one of 4096 x 4096
# Bytes of weights. Up to the first, folding is the default: TensorFlow copies a graph with
# its constants often. Above the other, they do not fit into a graph, a protocol buffer of 2 GB.
_FOLDED_BY_DEFAULT = 200e6
_MOST_FOLDED = 1.9e9


@dataclasses.dataclass(frozen=True)
class SavedModelReport:
    """What `export_saved_model` wrote.

    Args:
        path: Path of the version's folder.
        num_bytes: int. Size of all its files.
        largest_difference: float. Largest absolute difference of a probability from
            the Keras model's, over the clips compared.
        num_clips: int. Clips compared.
        frozen: bool. Whether the weights are constants of a folded graph.
    """

    path: Path
    num_bytes: int
    largest_difference: float
    num_clips: int
    frozen: bool


def export_saved_model(
    model: VideoClassifier,
    directory: str | os.PathLike[str],
    calibration: Any = None,
    *,
    frozen: bool | None = None,
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
    The network computes in float32, whatever the model's dtype policy. All signatures share
    one copy of the weights.
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
        frozen: bool. `True` folds the network for inference (`keras_t3d.deploy.folding`), its
            weights constants of the graph: a fourth less time a clip, for 50 times the bytes of
            the weights in memory here and 25 times where it is loaded and run. `False` keeps
            them in variables, for 5 times their bytes. `None` freezes up to 200 MB of weights.
            Defaults to `None`.

    Returns:
        A SavedModelReport.

    Raises:
        ValueError: if an argument is out of its range, or weights of more than 1.9 GB are to
            be frozen.
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
    check_backend()
    directory = Path(directory)
    if (directory / "saved_model.pb").exists():
        raise ValueError(
            "`directory` must be the folder of versions, for example 'serving/t3d', into which the "
            f"next one is written. Received: {directory}, which is a version"
        )
    clips = comparison_clips(model.clip_spec, calibration)
    frozen = _is_frozen(model, frozen)
    is_new = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(
            "`directory` must be a folder, new or old, for example 'serving/t3d'. "
            f"Received: a file, {directory}"
        ) from None
    try:
        # Renamed when whole: TF Serving reads folders whose names are numbers, and no others.
        with (
            written_by_many(directory),
            tempfile.TemporaryDirectory(prefix=".part-", dir=directory) as part,
        ):
            folder = Path(part, "version")  # that one is open to its owner only
            folder.mkdir()
            _write_extra_assets(folder / "assets.extra", model)
            _write(model, folder, frozen)
            views = tf.saved_model.load(str(folder)).signatures["views"]
            difference = largest_difference(
                in_float32(model),
                clips,
                lambda clip: views(clips=tf.constant(clip))["probabilities"].numpy(),
            )
            check_difference(difference, TOLERANCE)
            version = _published(folder, directory)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # another export may have written there
                directory.rmdir()
        raise
    num_bytes = sum(file.stat().st_size for file in version.rglob("*") if file.is_file())
    return SavedModelReport(version, num_bytes, difference, len(clips), frozen)


def _is_frozen(model: VideoClassifier, frozen: bool | None) -> bool:
    num_bytes = 4 * model.count_params()
    if frozen is None:
        return num_bytes <= _FOLDED_BY_DEFAULT
    if frozen and num_bytes > _MOST_FOLDED:
        raise ValueError(
            "A graph holds 2 GB, weights and all: weights above 1.9 GB stay in variables, "
            "frozen=False (--no-frozen). "
            f"Received: frozen=True for a network of {num_bytes / 1e9:.1f} GB"
        )
    return frozen


def _published(folder: Path, directory: Path) -> Path:
    """Renames a whole folder to the next number, which another export may take first."""
    while True:
        version = directory / str(_last_version(directory) + 1)
        try:
            folder.rename(version)
            return version
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _last_version(directory: Path) -> int:
    versions = [int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal()]
    return max(versions, default=0)


def _write_extra_assets(directory: Path, model: VideoClassifier) -> None:
    directory.mkdir()
    for name, text in artifact_texts(model.class_names, model.clip_spec).items():
        (directory / name).write_text(text, encoding="utf-8")
    write_warmup_requests(directory / WARMUP_REQUESTS, model.clip_spec)


# The signatures.


def _write(model: VideoClassifier, folder: Path, frozen: bool) -> None:
    spec, texts = model.clip_spec, artifact_texts(model.class_names, model.clip_spec)
    graph = _logits_and_embedding(model)  # held until all is written: TensorFlow does not
    network = _traced(graph, spec, frozen)
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


def _traced(graph: keras.Model, spec: ClipSpec, frozen: bool) -> Any:
    """The function from views to logits and embedding, traced once for all signatures.

    Traced in each, its constants would be stored with each.
    """
    network = fold(graph) if frozen else functools.partial(graph, training=False)
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
        # Resizing takes several times a view's frames in memory, and all cores by itself.
        parallel_iterations=1,
        fn_output_signature=tf.TensorSpec(spec.input_shape, tf.uint8),
    )


def _centre_views_of_encoded(frames: tf.Tensor, spec: ClipSpec) -> tf.Tensor:
    """Chooses first and decodes only what was chosen: the same views, for less work.

    A few frames at a time, so that large ones are not held all at once.
    """
    of_a_frame = dataclasses.replace(spec, num_frames=1)

    def view(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(checked_jpeg(encoded), channels=3)
        return resize_and_crop_tensorflow(image[None], of_a_frame)[0]

    chosen = tf.gather(frames, clip_frames_tensorflow(tf.shape(frames)[1], spec), axis=1)
    views = tf.map_fn(
        view,
        tf.reshape(chosen, (-1,)),
        parallel_iterations=_FRAMES_AT_ONCE,
        fn_output_signature=tf.TensorSpec(spec.input_shape[1:], tf.uint8),
    )
    return tf.reshape(views, (-1, *spec.input_shape))
