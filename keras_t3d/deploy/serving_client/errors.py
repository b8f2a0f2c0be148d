"""What can go wrong between client and server, one error for each, in words for users."""

from __future__ import annotations

import re


class ServingError(RuntimeError):
    """A request got no answer; the message says why, and what to do."""


class UnreachableError(ServingError):
    """No server answers at the address."""


class TLSError(ServingError):
    """No encrypted connection came about: a certificate that is not trusted, or no TLS there."""


class NotTFServingError(ServingError):
    """What answers is no TF Serving, or speaks its other protocol."""


class ModelNotFoundError(ServingError):
    """The server has no such model, or no such version of it."""


class ModelNotReadyError(ServingError):
    """The server has the model, but it is loading, or failed to load."""


class RefusedRequestError(ServingError):
    """The request does not fit the model: a wrong shape, type, signature or image."""


class RequestTooLargeError(ServingError):
    """The request or its answer is larger than something on the way lets through."""


class TimedOutError(ServingError):
    """No answer came in time."""


class BusyError(ServingError):
    """The server had no room for the request, each time it was asked."""


class AccessError(ServingError):
    """The server wants a login, or refuses this one."""


class ServerFailedError(ServingError):
    """The server failed at a request that may be right."""


class Failure(Exception):  # noqa: N818 - one attempt's, which a retry may mend
    """How one attempt ended: a code of gRPC, or one of ours, and the server's words.

    Ours are `UNREACHABLE` (no connection), `UNTRUSTED` (a certificate), `NO_TLS`, `TOO_LARGE` and
    `NOT_TF_SERVING`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


_RULES: dict[str, tuple[type[ServingError], str]] = {
    "UNREACHABLE": (
        UnreachableError,
        "No server answers. Is TF Serving running there, and is that its port (usually 8501 for "
        "REST, 8500 for gRPC)?",
    ),
    "UNTRUSTED": (
        TLSError,
        "The server's certificate is not trusted. Is that its name? Another authority's "
        "certificates are read from the file that SSL_CERT_FILE names.",
    ),
    "NO_TLS": (
        TLSError,
        "The server speaks no TLS there, or none that this client does. TF Serving itself speaks "
        "none: http://localhost:8501/v1/models/t3d.",
    ),
    "NOT_TF_SERVING": (
        NotTFServingError,
        "What answers is not TF Serving's interface of this protocol. REST is usually at port "
        "8501 (http://host:8501/v1/models/t3d), gRPC at 8500 (host:8500/t3d, with --grpc).",
    ),
    "NOT_FOUND": (
        ModelNotFoundError,
        "The server has no such model or version: compare the name with --model_name, or with "
        "the server's model config file.",
    ),
    "INVALID_ARGUMENT": (RefusedRequestError, "The model refuses the request."),
    "FAILED_PRECONDITION": (RefusedRequestError, "The model refuses the request."),
    "OUT_OF_RANGE": (RefusedRequestError, "The model refuses the request."),
    "TOO_LARGE": (
        RequestTooLargeError,
        "The request or its answer is too large: send JPEG images (--jpeg), fewer views, or a "
        "shorter video.",
    ),
    "DEADLINE_EXCEEDED": (
        TimedOutError,
        "No answer came in time: allow more (--timeout), or send less.",
    ),
    "UNAVAILABLE": (BusyError, "The server had no room for the request, or is stopping."),
    "RESOURCE_EXHAUSTED": (BusyError, "The server ran out of memory or room for the request."),
    "ABORTED": (BusyError, "The server gave the request up."),
    "PERMISSION_DENIED": (AccessError, "The server does not let this client in."),
    "UNAUTHENTICATED": (AccessError, "The server wants a login, which this client has none of."),
}


def serving_error(failure: Failure, address: str) -> ServingError:
    """Returns the error for users of the last attempt's failure."""
    kind, rule = _RULES.get(failure.code, (ServerFailedError, "The server failed."))
    said = _readable(failure.message)
    return kind(f"{rule} Asked: {address}" + (f". Received: {said}" if said else ""))


_NODE = re.compile(r"\s*\[\[.*?\]\]", re.DOTALL)  # which operation of the graph said so
_ASSERTION = re.compile(r"^assertion failed: \[(.*)\] (\[.*\])$", re.DOTALL)


def _readable(message: str) -> str:
    """A message of TensorFlow without what only its authors can use; one line."""
    plain = _NODE.sub("", message).strip()
    return " ".join(_ASSERTION.sub(r"\1 \2", plain).split())
