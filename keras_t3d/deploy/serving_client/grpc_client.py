"""TF Serving's gRPC interface, by grpcio alone; its messages are in `serving_messages`.

Reference:
    https://github.com/tensorflow/serving/blob/master/tensorflow_serving/apis/prediction_service.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_t3d.deploy.serving_client.address import grpc_address
from keras_t3d.deploy.serving_client.client import ServingClient, VersionStatus
from keras_t3d.deploy.serving_client.deadline import Deadline
from keras_t3d.deploy.serving_client.errors import Failure
from keras_t3d.deploy.serving_client.tensors import Signature, TensorSpec
from keras_t3d.deploy.serving_messages import (
    STATES,
    message_classes,
    to_array,
    to_tensor,
    type_name,
)
from keras_t3d.errors import MissingPackageError

try:
    import grpc
except ImportError:
    raise MissingPackageError(
        'The gRPC client needs grpcio: pip install "keras-t3d[serving]". '
        "REST needs no further package: http://localhost:8501/v1/models/t3d"
    ) from None

_OPTIONS = [
    ("grpc.max_send_message_length", -1),  # the default limit is 4 MB, two clips
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),  # retries are the client's own
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcClient(ServingClient):
    """A ServingClient over gRPC, without TLS; see `connect`."""

    def __init__(self, address: str, timeout: float, attempts: int, batch_size: int) -> None:
        super().__init__(grpc_address(address), timeout, attempts, batch_size)
        self._channel = grpc.insecure_channel(self.address.server, _OPTIONS)

    def close(self) -> None:
        self._channel.close()

    def sent_bytes(self, array: np.ndarray) -> int:
        return sum(map(len, array.flat)) if array.dtype == object else array.nbytes

    def _predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: Deadline
    ) -> dict[str, np.ndarray]:
        request = message_classes["PredictRequest"](model_spec=self._model_spec(signature))
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(to_tensor(array))
        response = self._call("PredictionService/Predict", request, "PredictResponse", deadline)
        return {name: _readable(to_array(tensor)) for name, tensor in response.outputs.items()}

    def _signatures(self, deadline: Deadline) -> dict[str, Signature]:
        request = message_classes["GetModelMetadataRequest"](model_spec=self._model_spec())
        request.metadata_field.append("signature_def")
        response = self._call(
            "PredictionService/GetModelMetadata", request, "GetModelMetadataResponse", deadline
        )
        signatures = message_classes["SignatureDefMap"].FromString(
            response.metadata["signature_def"].value
        )
        return {
            name: Signature(_tensor_specs(signature.inputs), _tensor_specs(signature.outputs))
            for name, signature in signatures.signature_def.items()
        }

    def _status(self, deadline: Deadline) -> list[VersionStatus]:
        request = message_classes["GetModelStatusRequest"](model_spec=self._model_spec())
        response = self._call(
            "ModelService/GetModelStatus", request, "GetModelStatusResponse", deadline
        )
        return [
            VersionStatus(
                one.version, STATES.get(one.state, str(one.state)), one.status.error_message
            )
            for one in response.model_version_status
        ]

    def _model_spec(self, signature: str = "") -> Any:
        spec = message_classes["ModelSpec"](name=self.address.model, signature_name=signature)
        if self.address.version is not None:
            spec.version.value = self.address.version
        if self.address.label is not None:
            spec.version_label = self.address.label
        return spec

    def _call(self, method: str, request: Any, response: str, deadline: Deadline) -> Any:
        call = self._channel.unary_unary(
            f"/tensorflow.serving.{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_classes[response].FromString,
        )
        try:
            return call(request, timeout=deadline.left())
        except grpc.RpcError as error:
            raise _failure(error.code().name, error.details() or "") from None


def _failure(code: str, details: str) -> Failure:
    """Separates causes for which gRPC uses the same code."""
    if code == "UNIMPLEMENTED" or any(sign in details for sign in _NO_GRPC):
        return Failure("NOT_TF_SERVING", details)
    if code == "RESOURCE_EXHAUSTED" and "larger than max" in details:
        return Failure("TOO_LARGE", details)
    if code == "UNAVAILABLE" and any(sign in details for sign in _NO_CONNECTION):
        return Failure("UNREACHABLE", details)
    return Failure(code, details)


# gRPC uses UNAVAILABLE for these as for a busy server.
_NO_GRPC = ("http1.x server", "Failed parsing HTTP/2")
_NO_CONNECTION = (
    "failed to connect",
    "DNS resolution failed",
    "errors resolving",
    "Socket closed",
    "recvmsg",
)


def _readable(array: np.ndarray) -> np.ndarray:
    """Decodes strings, as in the REST interface."""
    if array.dtype != object:
        return array
    texts = [value.decode("utf-8", "replace") for value in array.flat]
    return np.array(texts, object).reshape(array.shape)


def _tensor_specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: _tensor_spec(info) for name, info in infos.items()}


def _tensor_spec(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    sizes = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorSpec(type_name(info.dtype), None if shape.unknown_rank else sizes)
