"""Options of a server, each declared once."""

from __future__ import annotations

import dataclasses

from keras_t3d.errors import check_argument, check_integer


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """Where a server listens, and what it accepts.

    Args:
        host: address to listen at; `0.0.0.0` is reachable from other machines.
        rest_port: port of REST and metrics; 0 takes a free one.
        grpc_port: port of gRPC; 0 takes a free one.
        name: name of the model; by default that of the file or folder.
        max_request_mib: largest request, in MiB.
        max_requests: requests at the same time; further ones are refused, and clients try again.
        grace_seconds: seconds that requests may take after the server was told to stop.

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    ServerOptions(rest_port=8601, name="t3d")
    ```
    """

    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    name: str | None = None
    max_request_mib: int = 256
    max_requests: int = 32
    grace_seconds: float = 10.0

    def __post_init__(self) -> None:
        for port in ("rest_port", "grpc_port"):
            value = getattr(self, port)
            check_argument(port, value, 0 <= value < 2**16, "a port, for example 8501")
        is_name = self.name is None or (self.name != "" and not set(self.name) & set("/:"))
        check_argument("name", self.name, is_name, "a name without / and :, for example t3d")
        check_integer("max_request_mib", self.max_request_mib, 1, 256)
        at_most_2_gib = self.max_request_mib < 2048
        check_argument("max_request_mib", self.max_request_mib, at_most_2_gib, "below 2048")
        check_integer("max_requests", self.max_requests, 1, 32)
        check_argument("grace_seconds", self.grace_seconds, self.grace_seconds >= 0, "0 or more")
