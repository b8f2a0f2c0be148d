"""Creates a client for an address."""

from __future__ import annotations

from keras_t3d.deploy.serving_client.client import ServingClient
from keras_t3d.errors import check_argument, check_integer

_LONGEST_TIMEOUT = 1_000_000.0  # seconds: sockets count milliseconds in 31 bits


def connect(
    address: str,
    grpc: bool = False,
    timeout: float = 60.0,
    attempts: int = 5,
    batch_size: int = 4,
) -> ServingClient:
    """Returns a client of a model that TF Serving serves. Nothing is sent yet.

    Args:
        address: `http://host:8501/v1/models/t3d`, or `host:8500/t3d` for gRPC; both may end in
            `/versions/2` or `/labels/canary`.
        grpc: whether to use gRPC instead of REST.
        timeout: seconds for a request and its response, including retries and waits, but not the
            look-up of the host's name. At most 1,000,000.
        attempts: maximum number of attempts where the server could not accept a request.
        batch_size: number of views per request, which the server holds in memory.

    Returns:
        A ServingClient, which is a Predictor: `predict_video(connect(...), "clip.mp4")`.

    Raises:
        InvalidArgumentError: if an argument is out of its range.
        MissingPackageError: if `grpc` is set and grpcio is not installed.

    Example:

    ```python
    with connect("localhost:8500/t3d", grpc=True) as client:
        client.probabilities(clips)  # float32 (n, classes)
    ```
    """
    rule = f"above 0 and at most {_LONGEST_TIMEOUT:.0f} seconds, for example 60"
    check_argument("timeout", timeout, 0 < timeout <= _LONGEST_TIMEOUT, rule)
    check_integer("attempts", attempts, 1, 5)
    check_integer("batch_size", batch_size, 1, 4)
    if grpc:
        from keras_t3d.deploy.serving_client.grpc_client import GrpcClient

        return GrpcClient(address, timeout, attempts, batch_size)
    from keras_t3d.deploy.serving_client.rest_client import RestClient

    return RestClient(address, timeout, attempts, batch_size)
