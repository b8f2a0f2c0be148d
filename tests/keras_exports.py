"""Keras's own exports, `model.export(path, format=...)`, and what their artifacts compute.

```
KERAS_BACKEND=torch python -m tests.keras_exports FOLDER torch onnx
```

exports every `.keras` file of the folder in these formats, if the packages that they need are
installed, runs the artifacts on `clips.npy`, and writes `NAME.BACKEND.npz`, with the outputs of the
model and of each artifact.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

# By backend: the formats that Keras offers, and the packages that it and the artifact need.
FORMATS: dict[str, dict[str, tuple[str, ...]]] = {
    "tensorflow": {
        "tf_saved_model": (),
        "litert": (),
        "openvino": ("openvino",),
        "onnx": ("tf2onnx", "onnxruntime"),
    },
    "jax": {
        "tf_saved_model": ("tensorflow",),
        "openvino": ("tensorflow", "openvino"),
        "onnx": ("jax2onnx", "onnxruntime"),
    },
    "torch": {
        "torch": (),
        "onnx": ("onnxscript", "onnxruntime"),
        "openvino": ("openvino",),
        "litert": ("litert_torch", "ai_edge_litert"),
    },
}
_ENDINGS = {"litert": ".tflite", "openvino": ".xml", "onnx": ".onnx", "torch": ".pt2"}


def is_available(name: str) -> bool:
    """Returns whether this environment has what a format needs on the current backend."""
    packages = FORMATS[keras.backend.backend()][name]
    return all(importlib.util.find_spec(package) for package in packages)


def export_and_run(
    model: keras.Model, name: str, clips: np.ndarray, folder: pathlib.Path
) -> np.ndarray:
    """Exports a model by Keras; returns what the artifact computes, clip by clip.

    Args:
        model: the model.
        name: format.
        clips: float32 clips.
        folder: where the artifact is written.
    """
    path = folder / f"{model.name}_{name}{_ENDINGS.get(name, '')}"
    options: dict[str, Any] = {}
    if name == "onnx":  # under PyTorch, Keras exports no 3D convolution for any batch
        one_clip = keras.layers.InputSpec(shape=(1, *clips.shape[1:]), dtype="float32")
        options["input_signature"] = [one_clip]
    model.export(str(path), format=name, verbose=False, **options)
    run = _RUNNERS[name](str(path))
    return np.concatenate([np.asarray(run(clip[None])) for clip in clips])


def _saved_model(path: str) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda clip: loaded.serve(tf.constant(clip))  # keeps `loaded`


def _litert(path: str) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf  # Keras uses operations of TensorFlow that LiteRT alone lacks

    runner = tf.lite.Interpreter(path).get_signature_runner()
    (name,) = runner.get_input_details()
    return lambda clip: next(iter(runner(**{name: clip}).values()))


def _openvino(path: str) -> Callable[[np.ndarray], Any]:
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", exact)
    return lambda clip: compiled(clip)[0]


def _onnx(path: str) -> Callable[[np.ndarray], Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (read,) = session.get_inputs()
    return lambda clip: session.run(None, {read.name: clip})[0]


def _torch(path: str) -> Callable[[np.ndarray], Any]:
    import torch

    program = torch.export.load(path).module()
    return lambda clip: program(torch.from_numpy(clip)).detach().numpy()


_RUNNERS: dict[str, Callable[[str], Callable[[np.ndarray], Any]]] = {
    "tf_saved_model": _saved_model,
    "litert": _litert,
    "openvino": _openvino,
    "onnx": _onnx,
    "torch": _torch,
}


def main(folder: pathlib.Path, formats: list[str]) -> None:
    import keras_t3d  # noqa: F401  (registers its classes)

    clips = np.load(folder / "clips.npy")
    for path in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(path)
        found = {"model": np.asarray(keras.ops.convert_to_numpy(model(clips)))}
        for name in filter(is_available, formats):
            found[name] = export_and_run(model, name, clips, folder)
        np.savez(path.with_suffix(f".{keras.backend.backend()}.npz"), **found)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
