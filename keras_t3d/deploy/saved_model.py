"""Exports a model as a SavedModel for TF Serving, from frames to class names."""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_t3d.artifact_files import SAVED_MODEL, artifact_texts
from keras_t3d.atomic import size_of
from keras_t3d.deploy.comparison import (
    ExportReport,
    check_difference,
    comparison_clips,
    largest_difference,
)
from keras_t3d.deploy.file_export import export_file
from keras_t3d.deploy.network import check_exportable, in_float32
from keras_t3d.deploy.options import SavedModelOptions
from keras_t3d.deploy.signatures import write_graph
from keras_t3d.deploy.stream_signatures import write_stream_graph
from keras_t3d.deploy.tflite_forms import StepForm
from keras_t3d.deploy.versions import check_holds_versions, new_version
from keras_t3d.deploy.warmup import (
    WARMUP_REQUESTS,
    clip_requests,
    step_requests,
    write_warmup_requests,
)
from keras_t3d.errors import check_argument
from keras_t3d.inference.saved_model_steps import SavedModelSteps
from keras_t3d.models import VideoClassifier
from keras_t3d.streaming import StreamingForm

TOLERANCE = 1e-5  # largest allowed difference of a probability from the Keras model's
# Bytes of weights up to which folding is the default: TensorFlow copies a graph with its
# constants often.
_FOLDED_BY_DEFAULT = 200e6
_FOLDED_LIMIT = 1.9e9  # bytes of weights that fit into a graph, a protocol buffer of 2 GB


@dataclasses.dataclass(frozen=True)
class SavedModelReport(ExportReport):
    """Result of `export_saved_model`.

    Attributes:
        path, num_bytes, largest_difference, num_clips: see ExportReport.
        frozen: whether the weights are constants of a folded graph.
    """

    frozen: bool

    @property
    def storage(self) -> str:
        return f"weights {'frozen into the graph' if self.frozen else 'in variables'}"


def export_saved_model(
    model: VideoClassifier,
    directory: str | os.PathLike[str],
    calibration: Any = None,
    *,
    options: SavedModelOptions | None = None,
) -> SavedModelReport:
    """Writes the next version of the model under `directory`, and compares it with Keras.

    Versions are the directories `directory/1`, `directory/2` and so on. A version appears
    complete: a TF Serving that watches the directory never sees half of one.

    | signature | input | output |
    | --- | --- | --- |
    | `serving_default` | `clips`: uint8 (B, frames, H, W, 3), any sizes | probabilities |
    | `serve_jpeg` | `frames`: JPEG images, string (B, frames) | probabilities |
    | `views` | `clips`: uint8 (B, T, H, W, 3), the model's input | probabilities |
    | `features` | as `serving_default` | `embedding`: float32 (B, width) |
    | `files` | `names`: string (n,) | `contents`: string (n,), text files of the model |

    For "probabilities", the outputs are `probabilities`, float32 (B, classes), and the five
    most probable classes in descending order: `top_classes`, strings (B, 5), and `top_scores`,
    float32 (B, 5). All but `views` take the centre view in the graph. The model computes in
    float32, whatever its dtype policy. All signatures share one copy of the weights.

    `assets.extra/` holds `labels.txt` (one class per line), `clip_spec.json` and the warm-up
    requests of TF Serving. The signature `files` returns the first two, for clients without
    access to the directory. `assets/labels.txt` is the same list as an asset of the graph.

    With `options.streaming` the first four are replaced by two others: `step` maps `frames`, uint8
    (B, frames per step, H, W, 3) in the model's size, and the state before them to `probabilities`
    of what was seen so far and the state after them, of the same names; `initial_state` maps a
    `batch`, int64, to the state before the first frame. `stream.json`, in `assets.extra/` and from
    `files`, describes the state.

    Args:
        model: the model, with an `"embedding"` layer, under Keras's TensorFlow backend.
        directory: directory of the versions.
        calibration: clips to compare on, a uint8 array of shape (clips, T, H, W, 3) or an
            iterable of such batches. None compares on generated clips.
        options: SavedModelOptions.

    Returns:
        A SavedModelReport.

    Raises:
        InvalidArgumentError: if an argument is out of its range, or `frozen` is set for more
            than 1.9 GB of weights.
        ExportError: if the probabilities of the version, read back, differ from the Keras
            model's by more than `TOLERANCE`. Nothing is written then.

    Example:

    ```python
    report = export_saved_model(model, "serving/t3d")  # writes serving/t3d/1
    served = tf.saved_model.load(report.path).signatures["serving_default"]
    served(clips=tf.zeros((1, 40, 240, 320, 3), tf.uint8))["top_classes"]
    ```
    """
    check_exportable(model)
    options = options or SavedModelOptions()
    stream = StreamingForm(model, options.stream_options) if options.streaming else None
    directory = Path(directory)
    check_holds_versions(directory, SAVED_MODEL)
    clips = comparison_clips(model.clip_spec, calibration)
    frozen = stream is None and _is_frozen(model, options.frozen)
    with new_version(directory) as version:
        folder = version.folder
        if stream is None:
            _write_extra_assets(folder / "assets.extra", model)
            requests = clip_requests(model.clip_spec)
            write_graph(model, folder, frozen)
            difference = _largest_difference(model, folder, clips)
        else:
            _write_extra_assets(folder / "assets.extra", model, stream.describe())
            write_stream_graph(stream, folder)
            requests = step_requests(stream)
            difference = _largest_difference_of_steps(stream, folder, clips)
        write_warmup_requests(folder / "assets.extra" / WARMUP_REQUESTS, requests)
        gc.collect()  # graphs with copies of all weights, which refer to each other
        check_difference(difference, TOLERANCE)
    path = version.path
    return SavedModelReport(path, size_of(path), difference, len(clips), frozen)


def export_saved_model_file(
    model: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    calibration: str | os.PathLike[str] | None = None,
    options: SavedModelOptions | None = None,
    notify: Callable[[str], None] = print,
) -> SavedModelReport:
    """Exports a `.keras` file by `export_saved_model`; see `ExportTarget.export`."""
    return export_file(export_saved_model, model, directory, calibration, options, notify)


def _largest_difference(model: VideoClassifier, folder: Path, clips: np.ndarray) -> float:
    views = tf.saved_model.load(str(folder)).signatures["views"]
    return largest_difference(
        in_float32(model),
        clips,
        lambda clip: views(clips=tf.constant(clip))["probabilities"].numpy(),
    )


def _largest_difference_of_steps(stream: StreamingForm, folder: Path, clips: np.ndarray) -> float:
    form = StepForm(stream)
    found = form.answers(SavedModelSteps(folder), clips)
    return float(np.abs(found - form.expected(clips)).max())


def _is_frozen(model: VideoClassifier, frozen: bool | None) -> bool:
    num_bytes = 4 * model.count_params()
    if frozen is None:
        return num_bytes <= _FOLDED_BY_DEFAULT
    fits = not frozen or num_bytes <= _FOLDED_LIMIT
    rule = f"False above 1.9 GB of weights: a graph holds at most 2 GB, not {num_bytes / 1e9:.1f}"
    check_argument("frozen", frozen, fits, rule)
    return frozen


def _write_extra_assets(
    directory: Path, model: VideoClassifier, stream: dict[str, Any] | None = None
) -> None:
    directory.mkdir()
    for name, text in artifact_texts(model.class_names, model.clip_spec, stream).items():
        (directory / name).write_text(text, encoding="utf-8")
