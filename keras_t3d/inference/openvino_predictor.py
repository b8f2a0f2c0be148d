"""Predicts with an exported OpenVINO model, without TensorFlow."""

from __future__ import annotations

import os
import pathlib
import threading
from typing import Any

import loky
import numpy as np

from keras_t3d.artifact_files import (
    OPENVINO_MODEL,
    newest_version,
    openvino_texts,
    read_artifact,
)
from keras_t3d.errors import InvalidArgumentError, MissingPackageError
from keras_t3d.inference.predictor import CLIPS, EMBEDDING, PROBABILITIES, validate_clips

PRECISION = "inference_precision"  # name of a text in the model: OpenVINO's name of a type, or
DEFAULT_PRECISION = "default"
VIEW = "view"  # name of the operation that returns the views of videos


def import_openvino() -> Any:
    """Returns the module.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        if error.name != "openvino":
            raise
        raise MissingPackageError(
            "OpenVINO models require openvino: pip install 'keras-t3d[openvino]'"
        ) from None
    return openvino


class OpenVINORunner:
    """Runs an OpenVINO model of this package on one clip at a time, of one thread at a time.

    Args:
        network: the `openvino.Model`, which is changed to read a view.
        input_shape: of a view, (T, H, W, 3).
        precision: OpenVINO's name of the type in which floats are computed, or "default": bfloat16
            where the processor has it.
        threads: number of threads; None uses as many as the process has cores.
    """

    def __init__(
        self, network: Any, input_shape: tuple[int, ...], precision: str, threads: int | None = None
    ) -> None:
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or loky.cpu_count(),
        }
        if precision != DEFAULT_PRECISION:
            settings["INFERENCE_PRECISION_HINT"] = precision
        network = _reading_a_view(network, input_shape)
        compiled = import_openvino().compile_model(network, "CPU", settings)
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()  # a request has one set of tensors

    def __call__(self, clip: np.ndarray) -> dict[str, np.ndarray]:
        """Maps a clip, uint8 (1, T, H, W, 3), to the outputs by name, as copies."""
        with self._lock:
            outputs = self._request.infer([clip], share_inputs=True)
        return {port.any_name: value for port, value in outputs.items()}


def _reading_a_view(network: Any, input_shape: tuple[int, ...]) -> Any:
    """Returns the network behind the view, for one of known shape: so memory is laid out once."""
    import openvino
    from openvino import opset14

    clips = opset14.parameter([1, *input_shape], np.uint8, CLIPS)
    (view,) = (node for node in network.get_ops() if node.get_friendly_name() == VIEW)
    for reader in view.output(0).get_target_inputs():
        reader.replace_source_output(clips.output(0))
    return openvino.Model(network.get_results(), [clips])


class OpenVINOPredictor:
    """A Predictor for a model that `export_openvino` wrote, safe from several threads.

    Threads wait for each other, as one prediction uses all cores. It computes embeddings too.

    Args:
        path: folder of one version, such as `serving/t3d/1`, its `model.xml`, or the folder of all
            versions, of which the newest is loaded.
        threads: number of threads; None uses as many as the process has cores.

    Raises:
        InvalidArgumentError: if it is not an OpenVINO model of this package.
        MissingPackageError: if OpenVINO is not installed.

    Example:

    ```python
    OpenVINOPredictor("openvino/t3d", threads=2).class_names
    ```
    """

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        path = pathlib.Path(path)
        file = path if path.is_file() else newest_version(path, OPENVINO_MODEL) / OPENVINO_MODEL
        network, texts = _read(file), openvino_texts(file)
        try:
            self.class_names, self.clip_spec = read_artifact(lambda name: texts[name].encode())
            shape, precision = self.clip_spec.input_shape, texts[PRECISION]
            self._run = OpenVINORunner(network, shape, precision, threads)
        except (KeyError, ValueError) as error:
            raise InvalidArgumentError(
                "Expected an OpenVINO model that contains its labels and ClipSpec, as "
                f"keras_t3d.deploy.export_openvino writes it ({error}). Received: {file}"
            ) from None

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        return self._outputs(PROBABILITIES, clips)

    def embeddings(self, clips: np.ndarray) -> np.ndarray:
        return self._outputs(EMBEDDING, clips)

    def _outputs(self, name: str, clips: np.ndarray) -> np.ndarray:
        clips = validate_clips(clips, self.clip_spec)
        return np.concatenate([self._run(clip[None])[name] for clip in clips])


def _read(file: pathlib.Path) -> Any:
    try:
        return import_openvino().Core().read_model(file)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InvalidArgumentError(
            f"OpenVINO cannot read the model ({reason}). Received: {file}"
        ) from None
