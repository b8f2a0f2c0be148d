"""Listens on the ports of both protocols, until it is closed."""

from __future__ import annotations

import socket
import threading

from keras_t3d.deploy.serving_server.grpc_services import grpc_server
from keras_t3d.deploy.serving_server.metrics import RequestLog
from keras_t3d.deploy.serving_server.models import ServedModels
from keras_t3d.deploy.serving_server.options import ServerOptions
from keras_t3d.deploy.serving_server.rest_app import rest_app
from keras_t3d.deploy.serving_server.status import missing_package
from keras_t3d.errors import InvalidArgumentError

try:
    import uvicorn
except ImportError:
    raise missing_package() from None

_BACKLOG = 64


class ModelServer:
    """Serves models over REST and gRPC, from when it is made until `close`.

    Args:
        models: what is served.
        options: where it listens, and what it accepts.

    Attributes:
        rest_port: port of REST.
        grpc_port: port of gRPC.

    Raises:
        InvalidArgumentError: if a port is taken.

    Example:

    ```python
    server = ModelServer(ServedModels({}), ServerOptions(rest_port=0, grpc_port=0))
    server.close()
    ```
    """

    def __init__(self, models: ServedModels, options: ServerOptions) -> None:
        max_bytes = options.max_request_mib * 2**20
        log = RequestLog(options.max_requests)
        self._grace = options.grace_seconds
        listener = _bound(options.host, options.rest_port)
        self.rest_port: int = listener.getsockname()[1]
        try:
            # One thread more than requests: the limit then answers, and nothing waits.
            self._grpc = grpc_server(models, log, max_bytes, options.max_requests + 1)
            self.grpc_port = self._bind_grpc(options.host, options.grpc_port)
        except BaseException:
            listener.close()
            raise
        config = uvicorn.Config(
            rest_app(models, log, max_bytes),
            log_level="critical",  # errors of requests are printed where they are caught
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=int(self._grace),
        )
        self._rest = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._rest.run, args=([listener],), name="keras-t3d-rest", daemon=True
        )
        self._listener = listener
        self._grpc.start()
        self._thread.start()

    def close(self) -> None:
        """Accepts no further requests, waits for those that run, and closes the ports."""
        stopped = self._grpc.stop(self._grace)
        self._rest.should_exit = True
        self._thread.join()
        self._listener.close()
        stopped.wait()

    def _bind_grpc(self, host: str, port: int) -> int:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return int(self._grpc.add_insecure_port(address))
        except RuntimeError:
            raise _taken("grpc_port", host, port) from None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)  # so that clients that connect at once wait
    except OSError:
        listener.close()
        raise _taken("rest_port", host, port) from None
    return listener


def _taken(argument: str, host: str, port: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"`{argument}` must be a free port of `host`, or 0 for any. Received: {host}:{port}",
        argument=argument,
    )
