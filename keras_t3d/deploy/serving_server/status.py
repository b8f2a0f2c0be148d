"""Errors of requests, with the codes of gRPC and HTTP."""

from __future__ import annotations

from keras_t3d.errors import MissingPackageError

HTTP_STATUS = {  # as TF Serving's http_server.cc
    "OK": 200,
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}


class StatusError(Exception):
    """A request failed; the client gets the code and the message.

    Args:
        code: a code of gRPC, such as `"INVALID_ARGUMENT"`.
        message: what is wrong.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


def invalid(message: str) -> StatusError:
    """Returns the error of a request that breaks a rule."""
    return StatusError("INVALID_ARGUMENT", message)


def missing_package() -> MissingPackageError:
    """Returns the error where a package of the server is not installed."""
    return MissingPackageError(
        "The server needs starlette, uvicorn, grpcio and prometheus-client: "
        'pip install "keras-t3d[serve]"'
    )
