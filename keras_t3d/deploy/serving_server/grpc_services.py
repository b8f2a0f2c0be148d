"""TF Serving's gRPC interface, by grpcio alone; its messages are in `serving_messages`.

Reference:
    https://github.com/tensorflow/serving/blob/master/tensorflow_serving/apis/prediction_service.proto
"""

from __future__ import annotations

import functools
import math
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any

import numpy as np

from keras_t3d.deploy.serving_client.errors import ServingError
from keras_t3d.deploy.serving_client.tensors import TensorSpec
from keras_t3d.deploy.serving_messages import (
    STATES,
    message_classes,
    to_array,
    to_tensor,
    type_number,
)
from keras_t3d.deploy.serving_server.metrics import RequestLog
from keras_t3d.deploy.serving_server.models import DEFAULT_SIGNATURE, ModelSpec, ServedModels
from keras_t3d.deploy.serving_server.status import StatusError, invalid, missing_package

try:
    import grpc
except ImportError:
    raise missing_package() from None

_UNKNOWN = 2  # code of gRPC
_MOST_REPEATED = 2**28  # bytes of a tensor of one value
Handler = Callable[[Any], Any]


def grpc_server(models: ServedModels, log: RequestLog, max_bytes: int, threads: int) -> Any:
    """Returns a `grpc.Server` without ports.

    Args:
        models: what is served.
        log: counts the requests.
        max_bytes: largest message.
        threads: requests at the same time.
    """
    limits = [
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # a port that another server has is refused
    ]
    server = grpc.server(futures.ThreadPoolExecutor(threads, "keras-t3d-grpc"), options=limits)
    services = {
        "PredictionService": {"Predict": _predict, "GetModelMetadata": _metadata},
        "ModelService": {"GetModelStatus": _status},
    }
    for service, methods in services.items():
        handlers = {
            name: _handler(name, functools.partial(method, models), log)
            for name, method in methods.items()
        }
        handler = grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)
        server.add_generic_rpc_handlers((handler,))
    return server


def _handler(name: str, answer: Handler, log: RequestLog) -> Any:
    def call(request: Any, context: Any) -> Any:
        try:
            with log.request("grpc", name):
                return answer(request)
        except StatusError as error:
            context.abort(getattr(grpc.StatusCode, error.code), error.message)
        except Exception as error:
            traceback.print_exc()
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=message_classes[f"{name}Request"].FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


def _spec(message: Any) -> ModelSpec:
    version = message.version.value if message.HasField("version") else None
    signature = message.signature_name or DEFAULT_SIGNATURE
    return ModelSpec(message.name, version, message.version_label, signature)


def _predict(models: ServedModels, request: Any) -> Any:
    spec = _spec(request.model_spec)
    models.signature(spec)
    inputs = {name: _parsed(name, tensor) for name, tensor in request.inputs.items()}
    version, outputs = models.predict(spec, inputs)
    response = message_classes["PredictResponse"]()
    _fill_spec(response.model_spec, spec, version)
    response.model_spec.signature_name = spec.signature
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(to_tensor(array))
    return response


def _parsed(name: str, tensor: Any) -> np.ndarray:
    """Returns an input, unless one value would stand for a large tensor."""
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    held = max(len(tensor.tensor_content), tensor.ByteSize())
    if min(sizes, default=0) < 0 or math.prod(sizes) > 1000 * held + _MOST_REPEATED:
        raise invalid(f"tensor parsing error: {name}")
    try:
        return to_array(tensor)
    except (ServingError, ValueError, OverflowError) as error:
        raise invalid(f"tensor parsing error: {name}: {error}") from None


def _metadata(models: ServedModels, request: Any) -> Any:
    spec = _spec(request.model_spec)
    version, signatures = models.metadata(spec)
    definitions = message_classes["SignatureDefMap"]()
    for name, signature in signatures.items():
        definition = definitions.signature_def[name]
        definition.method_name = "tensorflow/serving/predict"
        for side in ("inputs", "outputs"):
            for tensor, tensor_spec in getattr(signature, side).items():
                _fill_info(getattr(definition, side)[tensor], tensor_spec)
    response = message_classes["GetModelMetadataResponse"]()
    _fill_spec(response.model_spec, spec, version)
    packed = response.metadata["signature_def"]
    packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    packed.value = definitions.SerializeToString()
    return response


def _fill_info(info: Any, spec: TensorSpec) -> None:
    info.dtype = type_number(spec.dtype)
    info.tensor_shape.unknown_rank = spec.shape is None
    for size in spec.shape or ():
        info.tensor_shape.dim.add(size=-1 if size is None else size)


def _fill_spec(message: Any, spec: ModelSpec, version: int) -> None:
    message.name = spec.name
    message.version.value = version


def _status(models: ServedModels, request: Any) -> Any:
    numbers = {name: number for number, name in STATES.items()}
    response = message_classes["GetModelStatusResponse"]()
    for one in models.status(_spec(request.model_spec)):
        status = response.model_version_status.add(version=one.version, state=numbers[one.state])
        status.status.error_code = _UNKNOWN if one.error else 0
        status.status.error_message = one.error
    return response
