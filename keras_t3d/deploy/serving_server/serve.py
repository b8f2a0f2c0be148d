"""Serves a model file until a signal ends it."""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

from keras_t3d.artifact_files import model_file, newest_version
from keras_t3d.deploy.serving_server.models import Servable, ServedModels
from keras_t3d.deploy.serving_server.options import ServerOptions
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.artifact_formats import artifact_format
from keras_t3d.inference.signals import catch_stop_signals

_PAUSE = 0.2  # seconds between looks at the signals


def serve(
    model: str | os.PathLike[str],
    options: ServerOptions | None = None,
    notify: Callable[[str], None] = print,
) -> None:
    """Serves a model over TF Serving's REST and gRPC interfaces, until SIGINT or SIGTERM.

    Requests that run are finished. It is for trying models and for small devices: it does not
    combine requests to batches, and serves one model.

    Args:
        model: path of a `.keras` file, a SavedModel folder, of which the newest version is
            served, another exported model or a run directory.
        options: where to listen, and what to accept.
        notify: called with lines about what is served.

    Raises:
        InvalidArgumentError: if it is not a model of this package, or a port is taken.
        MissingPackageError: if a package of the server is not installed.

    Example:

    ```python
    keras_t3d.deploy.serve("best.keras", ServerOptions(rest_port=8501))
    ```
    """
    # First, as missing packages are told before a large model is read.
    from keras_t3d.deploy.serving_server.server import ModelServer

    options = options or ServerOptions()
    name, version, servable = load_servable(model)
    name = options.name or name
    with catch_stop_signals() as stopped:
        server = ModelServer(ServedModels({name: {version: servable}}), options)
        try:
            for line in _lines(model, name, options.host, server.rest_port, server.grpc_port):
                notify(line)
            while not stopped():
                threading.Event().wait(_PAUSE)
        finally:
            server.close()
    notify("Stopped.")


def load_servable(model: str | os.PathLike[str]) -> tuple[str, int, Servable]:
    """Returns the name of a model file or folder, the number of its version, and what it serves.

    Raises:
        InvalidArgumentError: if it is not a model of this package.
    """
    path = model_file(model)
    artifact = artifact_format(path)
    if artifact is not None and artifact.framework == "tensorflow":
        from keras_t3d.deploy.serving_server.saved_model_servable import SavedModelServable

        folder = newest_version(pathlib.Path(path))
        number = int(folder.name) if folder.name.isdecimal() else 1
        named = folder.resolve().parent if folder.name.isdecimal() else folder
        return named.name, number, SavedModelServable(folder)
    from keras_t3d.deploy.serving_server.predictor_servable import PredictorServable
    from keras_t3d.inference.load import load_layers, load_predictor

    name = pathlib.Path(model).resolve().stem  # of hf://user/name, too
    if artifact is not None:
        predictor: Any = load_predictor(path)
        computes_embeddings = hasattr(predictor, "embeddings")
        return name, 1, PredictorServable(predictor, predictor if computes_embeddings else None)
    from keras_t3d.inference.keras_embedder import KerasEmbedder

    network = load_layers(path)
    try:
        embedder = KerasEmbedder(network)
    except InvalidArgumentError:  # a network of the user's own without the layer
        embedder = None
    return name, 1, PredictorServable(load_predictor(network), embedder)


def _lines(
    model: str | os.PathLike[str], name: str, host: str, rest_port: int, grpc_port: int
) -> list[str]:
    return [
        f"Serving {name} of {os.fspath(model)}, until Ctrl-C or SIGTERM:",
        f"  REST  http://{host}:{rest_port}/v1/models/{name}",
        f"  gRPC  {host}:{grpc_port}/{name}",
        _production_line(pathlib.Path(model), name),
    ]


def _production_line(model: pathlib.Path, name: str) -> str:
    """Returns the line that starts TF Serving."""
    is_saved_model = model.is_dir() and next(model.glob("*/saved_model.pb"), None) is not None
    folder = model.resolve() if is_saved_model else pathlib.Path("/absolute/path") / name
    line = (
        "This server is for trying and for small devices. In production, run TF Serving: docker "
        f"run -p 8501:8501 -p 8500:8500 -v {folder}:/models/{name} -e MODEL_NAME={name} "
        "tensorflow/serving"
    )
    export = f"keras-t3d export saved-model {model} {name}"
    return line if is_saved_model else f"{line}, after {export}"
