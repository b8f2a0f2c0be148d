"""From an address to a client of its protocol."""

from __future__ import annotations

from keras_t3d.deploy.serving_client.client import ServingClient

_LONGEST = 1_000_000.0  # seconds: sockets count milliseconds in 31 bits


def connect(
    address: str,
    grpc: bool = False,
    timeout: float = 60.0,
    attempts: int = 5,
    batch_size: int = 4,
) -> ServingClient:
    """Returns a client of a model that TF Serving serves. Nothing is sent yet.

    Args:
        address: str. `http://host:8501/v1/models/t3d`, or `host:8500/t3d` for gRPC; both
            may end in `/versions/2` or `/labels/canary`.
        grpc: bool. Whether to speak gRPC. Defaults to `False`: REST.
        timeout: float. Seconds for a request and its answer, with all retries and waits: none
            takes longer, but for the look-up of the host's name. At most 1,000,000. Defaults to
            `60.0`.
        attempts: int. How often a request is tried that the server could not take.
            Defaults to `5`.
        batch_size: int. Views sent in a request; the server holds them all. Defaults to `4`.

    Returns:
        A ServingClient, which is a Predictor: `predict_video(connect(...), "clip.mp4")`.

    Raises:
        ValueError: if an argument is out of its range.
        ImportError: if grpcio is needed and absent.

    Example:

    ```python
    with connect("localhost:8500/t3d", grpc=True) as client:
        client.probabilities(clips)  # float32 (n, classes)
    ```
    """
    if not 0 < timeout <= _LONGEST:
        raise ValueError(
            f"`timeout` must be above 0 and at most {_LONGEST:.0f} seconds, for example 60. "
            f"Received: {timeout}"
        )
    for name, value in (("attempts", attempts), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}")
    if grpc:
        from keras_t3d.deploy.serving_client.grpc_client import GrpcClient

        return GrpcClient(address, timeout, attempts, batch_size)
    from keras_t3d.deploy.serving_client.rest_client import RestClient

    return RestClient(address, timeout, attempts, batch_size)
