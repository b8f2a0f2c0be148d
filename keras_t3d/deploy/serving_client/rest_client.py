"""TF Serving's REST interface, by the standard library.

Reference:
    https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import numpy as np

from keras_t3d.deploy.serving_client.address import rest_address
from keras_t3d.deploy.serving_client.client import ServingClient, VersionStatus
from keras_t3d.deploy.serving_client.deadline import Deadline
from keras_t3d.deploy.serving_client.errors import Failure
from keras_t3d.deploy.serving_client.http_exchange import exchange
from keras_t3d.deploy.serving_client.tensors import Signature, TensorSpec

# TF Serving's HTTP codes of gRPC's; proxies send 413.
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "TOO_LARGE",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_PIECE = 2**20  # bytes of JSON written at once


class RestClient(ServingClient):
    """A ServingClient over HTTP; see `connect`."""

    def __init__(self, address: str, timeout: float, attempts: int, batch_size: int) -> None:
        super().__init__(rest_address(address), timeout, attempts, batch_size)

    def sent_bytes(self, array: np.ndarray) -> int:
        return _text_bytes(array)

    def _predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: Deadline
    ) -> dict[str, np.ndarray]:
        path = f"{self.address.path}:predict"
        body = list(_body(signature, inputs))
        outputs = self._exchange("POST", path, body, deadline, "outputs")
        if not isinstance(outputs, dict):  # a single output has no name
            known = self._known_signatures(deadline)
            with _parsing():
                (name,) = known[signature].outputs
            outputs = {name: outputs}
        with _parsing():
            return {name: _array(value) for name, value in outputs.items()}

    def _signatures(self, deadline: Deadline) -> dict[str, Signature]:
        path = f"{self.address.path}/metadata"
        metadata = self._exchange("GET", path, (), deadline, "metadata")
        with _parsing():
            return {
                name: Signature(
                    *(
                        {tensor: _tensor_spec(info) for tensor, info in signature[side].items()}
                        for side in ("inputs", "outputs")
                    )
                )
                for name, signature in _field(metadata["signature_def"], "signature_def").items()
            }

    def _status(self, deadline: Deadline) -> list[VersionStatus]:
        states = self._exchange("GET", self.address.path, (), deadline, "model_version_status")
        with _parsing():
            return [
                VersionStatus(int(one["version"]), one["state"], one["status"]["error_message"])
                for one in states
            ]

    def _exchange(
        self, method: str, path: str, body: Sequence[bytes], deadline: Deadline, key: str
    ) -> Any:
        """Sends one request; returns the value of a key of the response."""
        status, answer = exchange(self.address.server, method, path, body, deadline)
        try:
            values = json.loads(answer)
            if status == HTTPStatus.OK:
                return values[key]
            message = values["error"]
        except (ValueError, KeyError, TypeError, RecursionError):
            if status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
                raise Failure("NOT_TF_SERVING", f"HTTP {status}, {_beginning(answer)}") from None
            message = f"HTTP {status}, {_beginning(answer)}"  # perhaps from a proxy
        raise Failure(_CODES.get(status, "INTERNAL"), message)


@contextlib.contextmanager
def _parsing() -> Iterator[None]:
    """Raises Failure where a response does not have TF Serving's layout."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Failure("NOT_TF_SERVING", f"JSON with another layout ({error!r})") from None


def _body(signature: str, inputs: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Yields a request's JSON in pieces: Python lists take ten times the memory of pixels."""
    yield b'{"signature_name":' + json.dumps(signature).encode() + b',"inputs":{'
    for number, (name, array) in enumerate(inputs.items()):
        yield (b"," if number else b"") + json.dumps(name).encode() + b":"
        yield from _json(array)
    yield b"}}"


def _json(array: np.ndarray) -> Iterator[bytes]:
    is_row = array.ndim < (1 if array.dtype == object else 2)
    if is_row or _text_bytes(array) <= _PIECE:
        yield json.dumps(array.tolist(), separators=(",", ":"), default=_encoded).encode()
        return
    for number, row in enumerate(array):
        yield b"," if number else b"["
        yield from _json(np.asarray(row, array.dtype))
    yield b"]"


def _encoded(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text_bytes(array: np.ndarray) -> int:
    """Returns an upper estimate of an array's length as JSON."""
    if array.dtype == object:
        return sum(4 * len(value) // 3 + len('{"b64":""},') + 2 for value in array.flat)
    return array.size * (
        len("255,") if array.dtype == np.uint8 else len("-1.2345678901234567e-12,")
    )


def _array(value: Any) -> np.ndarray:
    array = np.array(value)
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind not in "biuf":
        raise Failure("NOT_TF_SERVING", "JSON with neither numbers nor strings")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _tensor_spec(info: dict[str, Any]) -> TensorSpec:
    shape = _field(info, "tensor_shape")
    sizes = [int(dim["size"]) for dim in shape.get("dim", ())]
    known = not shape.get("unknown_rank", False)
    return TensorSpec(
        {"DT_FLOAT": "float32"}.get(info["dtype"], info["dtype"].removeprefix("DT_").lower()),
        tuple(None if size < 0 else size for size in sizes) if known else None,
    )


def _field(message: dict[str, Any], name: str) -> Any:
    """Returns a field, which OpenVINO Model Server names as JSON does: `tensorShape`."""
    first, *others = name.split("_")
    return message[name] if name in message else message[first + "".join(map(str.title, others))]


def _beginning(answer: bytes) -> str:
    return repr(answer[:100].decode("utf-8", "replace"))
