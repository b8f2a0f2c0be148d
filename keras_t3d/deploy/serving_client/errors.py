"""Errors of the serving client: one class per cause."""

from __future__ import annotations

import re

from keras_t3d.errors import KerasT3DError


class ServingError(KerasT3DError):
    """A request failed; the message states the cause and the remedy."""


class UnreachableError(ServingError):
    """No server listens at the address."""


class TLSError(ServingError):
    """The TLS connection failed: the certificate is not trusted, or the server has no TLS."""


class NotTFServingError(ServingError):
    """The server is not TF Serving, or expects its other protocol."""


class ModelNotFoundError(ServingError):
    """The server has no such model, or no such version of it."""


class ModelNotReadyError(ServingError):
    """The server has the model, but it is loading, or failed to load."""


class RefusedRequestError(ServingError):
    """The model rejected the request: a wrong shape, type, signature or image."""


class RequestTooLargeError(ServingError):
    """The request or its response exceeds a size limit."""


class TimedOutError(ServingError):
    """The deadline passed without a response."""


class BusyError(ServingError):
    """The server was overloaded at every attempt."""


class AccessError(ServingError):
    """The server requires credentials, or denies access."""


class ServerFailedError(ServingError):
    """The server failed with an internal error."""


class Failure(Exception):  # noqa: N818 - of one attempt, before retries
    """Failure of one attempt: a code of gRPC, or one of this client, and the server's message.

    The client's codes are `UNREACHABLE` (no connection), `UNTRUSTED` (a certificate), `NO_TLS`,
    `TOO_LARGE` and `NOT_TF_SERVING`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


_RULES: dict[str, tuple[type[ServingError], str]] = {
    "UNREACHABLE": (
        UnreachableError,
        "No server listens at `address`. Is TF Serving running there, and is this its port "
        "(usually 8501 for REST, 8500 for gRPC)?",
    ),
    "UNTRUSTED": (
        TLSError,
        "The server's certificate is not trusted. Check the host name; set SSL_CERT_FILE to a file "
        "with the certificates of another authority.",
    ),
    "NO_TLS": (
        TLSError,
        "The server does not support TLS, or no version in common. TF Serving itself has no TLS: "
        "use http, for example http://localhost:8501/v1/models/t3d.",
    ),
    "NOT_TF_SERVING": (
        NotTFServingError,
        "The response is not TF Serving's. Its REST interface is usually at port 8501 "
        "(http://host:8501/v1/models/t3d), gRPC at 8500 (host:8500/t3d, with `grpc`).",
    ),
    "NOT_FOUND": (
        ModelNotFoundError,
        "The server has no such model or version: compare the name with the server's option "
        "model_name or its model config file.",
    ),
    "INVALID_ARGUMENT": (RefusedRequestError, "The model rejected the request."),
    "FAILED_PRECONDITION": (RefusedRequestError, "The model rejected the request."),
    "OUT_OF_RANGE": (RefusedRequestError, "The model rejected the request."),
    "TOO_LARGE": (
        RequestTooLargeError,
        "The request or its response is too large: send JPEG images (`jpeg`), fewer views, or a "
        "shorter video.",
    ),
    "DEADLINE_EXCEEDED": (
        TimedOutError,
        "The request timed out: raise `timeout`, or send less.",
    ),
    "UNAVAILABLE": (BusyError, "The server is overloaded or stopping."),
    "RESOURCE_EXHAUSTED": (
        BusyError,
        "The server has too little memory or queue space for the request.",
    ),
    "ABORTED": (BusyError, "The server aborted the request."),
    "PERMISSION_DENIED": (AccessError, "The server denies access to this client."),
    "UNAUTHENTICATED": (
        AccessError,
        "The server requires credentials, which this client does not send.",
    ),
}


def serving_error(failure: Failure, address: str) -> ServingError:
    """Returns the error for users from the failure of the last attempt."""
    kind, rule = _RULES.get(failure.code, (ServerFailedError, "The server failed."))
    received = _readable(failure.message)
    return kind(f"{rule} Address: {address}" + (f". Received: {received}" if received else ""))


_NODE = re.compile(r"\s*\[\[.*?\]\]", re.DOTALL)  # the graph operation that failed
_ASSERTION = re.compile(r"^assertion failed: \[(.*)\] (\[.*\])$", re.DOTALL)


def _readable(message: str) -> str:
    """Returns a message of TensorFlow in one line, without its internal details."""
    plain = _NODE.sub("", message).strip()
    return " ".join(_ASSERTION.sub(r"\1 \2", plain).split())
