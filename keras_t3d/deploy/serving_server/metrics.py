"""Metrics of a server for Prometheus, and the limit of requests at the same time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from keras_t3d.deploy.serving_server.status import StatusError, missing_package

try:
    import prometheus_client
except ImportError:
    raise missing_package() from None


class RequestLog:
    """Counts and times requests, and refuses more than some at the same time.

    Args:
        max_requests: requests at the same time.
    """

    def __init__(self, max_requests: int) -> None:
        self._free = threading.BoundedSemaphore(max_requests)
        self._max_requests = max_requests
        self._registry = prometheus_client.CollectorRegistry()
        labels = ("protocol", "method")
        self._requests = prometheus_client.Counter(
            "keras_t3d_serving_requests",
            "Requests answered, by code of gRPC.",
            (*labels, "code"),
            registry=self._registry,
        )
        self._seconds = prometheus_client.Histogram(
            "keras_t3d_serving_request_seconds",
            "Seconds from a complete request to its response.",
            labels,
            registry=self._registry,
        )
        self._running = prometheus_client.Gauge(
            "keras_t3d_serving_running_requests", "Requests now.", registry=self._registry
        )

    @contextlib.contextmanager
    def request(self, protocol: str, method: str) -> Iterator[None]:
        """Counts and times what the block does.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, if too many requests run.
        """
        started, code = time.perf_counter(), "OK"
        with self._running.track_inprogress():
            try:
                with self._admitted():
                    yield
            except StatusError as error:
                code = error.code
                raise
            except BaseException:
                code = "INTERNAL"
                raise
            finally:
                self._requests.labels(protocol, method, code).inc()
                elapsed = time.perf_counter() - started
                self._seconds.labels(protocol, method).observe(elapsed)

    def text(self) -> bytes:
        """Returns the metrics in the text format of Prometheus."""
        return prometheus_client.generate_latest(self._registry)

    @contextlib.contextmanager
    def _admitted(self) -> Iterator[None]:
        if not self._free.acquire(blocking=False):
            message = f"{self._max_requests} requests run already: try again later"
            raise StatusError("RESOURCE_EXHAUSTED", message)
        try:
            yield
        finally:
            self._free.release()
