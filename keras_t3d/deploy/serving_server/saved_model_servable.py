"""Computes the signatures of a SavedModel by the C++ loader, as TF Serving does."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from keras_t3d.deploy.serving_client.tensors import Signature, TensorSpec
from keras_t3d.deploy.serving_messages import message_classes, to_array, type_name
from keras_t3d.deploy.serving_server.models import Arrays
from keras_t3d.deploy.serving_server.status import StatusError
from keras_t3d.deploy.warmup import WARMUP_REQUESTS
from keras_t3d.private_interfaces import session_callable

_CODES = (  # by number, those of gRPC
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)


class SavedModelServable:
    """A version of a SavedModel, warmed up.

    It is known by its signatures only. Inputs are fed as they are: the checks are those of the
    graph.

    Args:
        folder: folder of the version.
        threads: threads of TensorFlow; None for as many as there are cores.

    Attributes:
        signatures: what it computes, by name.
        warmed_up: names of the signatures whose warm-up request ran.
    """

    def __init__(self, folder: str | os.PathLike[str], threads: int | None = None) -> None:
        config = tf.compat.v1.ConfigProto()
        if threads:
            config.intra_op_parallelism_threads = config.inter_op_parallelism_threads = threads
        with tf.Graph().as_default():
            self._session = tf.compat.v1.Session(config=config)
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], os.fspath(folder))
        definitions = {n: one for n, one in loaded.signature_def.items() if one.inputs}
        self.signatures = {name: _signature(one) for name, one in definitions.items()}
        self._calls = {
            name: session_callable(self._session, one.inputs, one.outputs)
            for name, one in definitions.items()
        }
        self.warmed_up: list[str] = []
        self._warm_up(pathlib.Path(folder) / "assets.extra" / WARMUP_REQUESTS)

    def predict(self, signature: str, inputs: Arrays) -> Arrays:
        """Computes a signature; see `Servable`."""
        arrays = [inputs[name] for name in self.signatures[signature].inputs]
        try:
            outputs = self._calls[signature](*arrays)
        except tf.errors.OpError as error:
            raise StatusError(_CODES[error.error_code], error.message) from None
        return dict(zip(self.signatures[signature].outputs, map(np.asarray, outputs), strict=True))

    def _warm_up(self, path: pathlib.Path) -> None:
        if not path.exists():
            return
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = message_classes["PredictionLog"].FromString(record).predict_log.request
            name = request.model_spec.signature_name
            self.predict(name, {key: to_array(value) for key, value in request.inputs.items()})
            self.warmed_up.append(name)


def _signature(definition: Any) -> Signature:
    return Signature(
        *(
            {name: _tensor_spec(info) for name, info in side.items()}
            for side in (definition.inputs, definition.outputs)
        )
    )


def _tensor_spec(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    sizes = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorSpec(type_name(info.dtype), None if shape.unknown_rank else sizes)
