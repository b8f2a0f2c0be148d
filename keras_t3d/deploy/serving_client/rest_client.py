"""TF Serving's REST interface, by the standard library.

Reference:
    https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from keras_t3d.deploy.serving_client.address import rest_address
from keras_t3d.deploy.serving_client.client import (
    ServingClient,
    Signature,
    TensorSpec,
    VersionStatus,
)
from keras_t3d.deploy.serving_client.errors import Failure

# As TF Serving says gRPC's codes in HTTP; 413 is what proxies say.
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


class RestClient(ServingClient):
    """A ServingClient over HTTP; see `connect`."""

    def __init__(self, address: str, timeout: float, attempts: int) -> None:
        super().__init__(rest_address(address), timeout, attempts)

    def _predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float
    ) -> dict[str, np.ndarray]:
        body = {
            "signature_name": signature,
            "inputs": {name: _json_value(array) for name, array in inputs.items()},
        }
        outputs = self._exchange("POST", f"{self.address.path}:predict", body, seconds, "outputs")
        if not isinstance(outputs, dict):  # the only output comes without its name
            outputs = {next(iter(self.signatures[signature].outputs)): outputs}
        return {name: _array(value) for name, value in outputs.items()}

    def _signatures(self, seconds: float) -> dict[str, Signature]:
        path = f"{self.address.path}/metadata"
        metadata = self._exchange("GET", path, None, seconds, "metadata")
        with _as_tf_serving_writes():
            return {
                name: Signature(
                    *(
                        {tensor: _tensor_spec(info) for tensor, info in signature[side].items()}
                        for side in ("inputs", "outputs")
                    )
                )
                for name, signature in metadata["signature_def"]["signature_def"].items()
            }

    def _status(self, seconds: float) -> list[VersionStatus]:
        states = self._exchange("GET", self.address.path, None, seconds, "model_version_status")
        with _as_tf_serving_writes():
            return [
                VersionStatus(int(one["version"]), one["state"], one["status"]["error_message"])
                for one in states
            ]

    def _exchange(
        self, method: str, path: str, body: dict[str, Any] | None, seconds: float, key: str
    ) -> Any:
        """Sends one request; returns what stands under a key of the answer."""
        status, answer = self._answer(method, path, body, seconds)
        try:
            values = json.loads(answer)
            if status == http.client.OK:
                return values[key]
            message = values["error"]
        except (ValueError, KeyError, TypeError):
            if status in (http.client.OK, http.client.NOT_FOUND, http.client.BAD_REQUEST):
                raise Failure("NOT_TF_SERVING", f"HTTP {status}, {_beginning(answer)}") from None
            message = f"HTTP {status}, {_beginning(answer)}"  # a proxy's, perhaps
        raise Failure(_CODES.get(status, "INTERNAL"), message)

    def _answer(
        self, method: str, path: str, body: dict[str, Any] | None, seconds: float
    ) -> tuple[int, bytes]:
        server = urlsplit(self.address.server)
        encrypted = server.scheme.lower() == "https"
        connect = http.client.HTTPSConnection if encrypted else http.client.HTTPConnection
        end = time.monotonic() + seconds
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        connection = connect(server.netloc, timeout=max(end - time.monotonic(), 0.001))
        try:
            _send(connection, method, path, data)
            if connection.sock is not None:
                connection.sock.settimeout(max(end - time.monotonic(), 0.001))
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError:
            raise Failure("DEADLINE_EXCEEDED", f"nothing for {seconds:.1f} s") from None
        except (OSError, http.client.IncompleteRead) as error:
            raise Failure("UNREACHABLE", str(error) or type(error).__name__) from None
        except http.client.InvalidURL as error:
            raise ValueError(f"{error}. Received: {self.address.text}") from None
        except http.client.HTTPException as error:
            raise Failure("NOT_TF_SERVING", repr(error)) from None
        finally:
            connection.close()


@contextlib.contextmanager
def _as_tf_serving_writes() -> Iterator[None]:
    """Says so where an answer is not laid out like TF Serving's."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Failure("NOT_TF_SERVING", f"JSON of another layout ({error!r})") from None


def _send(
    connection: http.client.HTTPConnection, method: str, path: str, data: bytes | None
) -> None:
    """A server that has read enough may say so and close: its answer says more than the error."""
    try:
        connection.request(method, path, data, {"Content-Type": "application/json"})
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise


def _json_value(array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    if array.ndim:
        return [_json_value(row) for row in array] if array.ndim > 1 else _encoded(array)
    return _encoded(array[None])[0]


def _encoded(row: np.ndarray) -> list[dict[str, str]]:
    return [{"b64": base64.b64encode(value).decode()} for value in row]


def _array(value: Any) -> np.ndarray:
    array = np.array(value)
    if array.dtype.kind == "U":
        return array.astype(object)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _tensor_spec(info: dict[str, Any]) -> TensorSpec:
    shape = info["tensor_shape"]
    sizes = [int(dim["size"]) for dim in shape.get("dim", ())]
    known = not shape.get("unknown_rank", False)
    return TensorSpec(
        {"DT_FLOAT": "float32"}.get(info["dtype"], info["dtype"].removeprefix("DT_").lower()),
        tuple(None if size < 0 else size for size in sizes) if known else None,
    )


def _beginning(answer: bytes) -> str:
    return repr(answer[:100].decode("utf-8", "replace"))
