"""One HTTP request and its response within a deadline, by the standard library.

A socket's timeout restarts with every read or write, so it is set to the time left before each.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import types
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from keras_t3d.deploy.serving_client.deadline import Deadline
from keras_t3d.deploy.serving_client.errors import Failure
from keras_t3d.errors import InvalidArgumentError


def exchange(
    server: str, method: str, path: str, body: Sequence[bytes], deadline: Deadline
) -> tuple[int, bytes]:
    """Sends a request; returns the response's status and body.

    Args:
        server: `http://host:8501`, or `https://host` for TLS.
        method: `"GET"` or `"POST"`.
        path: path of the URL.
        body: JSON in pieces; empty for GET.
        deadline: of everything but the look-up of the host's name, which has the system's limit.

    Raises:
        Failure: if no response arrived.
        InvalidArgumentError: if the server's address is invalid.
    """
    try:
        with contextlib.closing(_connected(urlsplit(server), deadline)) as connection:
            _send(connection, method, path, body, deadline)
            file = io.BufferedReader(_ReadInTime(connection.sock, deadline))
            sock: Any = types.SimpleNamespace(makefile=lambda mode: file)  # all that it uses
            response = http.client.HTTPResponse(sock, method=method)
            with contextlib.closing(response):
                response.begin()
                if 300 <= response.status < 400:
                    location = response.getheader("Location")
                    message = f"HTTP {response.status}, redirects to {location}"
                    raise Failure("NOT_TF_SERVING", message)
                return response.status, response.read()
    except TimeoutError:
        raise Failure(
            "DEADLINE_EXCEEDED", f"no complete answer within {deadline.seconds:g} s"
        ) from None
    except ssl.SSLEOFError as error:  # of an established connection
        raise Failure("UNREACHABLE", str(error)) from None
    except ssl.SSLError as error:
        raise _without_tls(error) from None
    except (OSError, http.client.IncompleteRead) as error:
        raise Failure("UNREACHABLE", str(error) or type(error).__name__) from None
    except (http.client.InvalidURL, UnicodeError) as error:
        raise InvalidArgumentError(
            "`address` must have a host name or number and a port, for example "
            f"http://localhost:8501 ({error}). Received: {server}",
            argument="address",
        ) from None
    except http.client.HTTPException as error:
        raise Failure("NOT_TF_SERVING", repr(error)) from None


def _connected(server: SplitResult, deadline: Deadline) -> http.client.HTTPConnection:
    """Connects to the first of the host's addresses that accepts a connection.

    `HTTPConnection.connect()` would allow each address, and TLS, the whole time.
    """
    context = ssl.create_default_context() if server.scheme.lower() == "https" else None
    connection = (
        http.client.HTTPConnection(server.netloc)
        if context is None
        else http.client.HTTPSConnection(server.netloc, context=context)
    )
    connection.sock = sock = _first_reachable(connection.host, connection.port, deadline)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        try:
            sock.settimeout(deadline.timeout())
            connection.sock = context.wrap_socket(sock, server_hostname=connection.host)
        except ssl.SSLError as error:
            raise _without_tls(error) from None
        finally:
            sock.close()  # without effect once TLS has taken it over
    return connection


def _first_reachable(host: str, port: int, deadline: Deadline) -> socket.socket:
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.timeout() / (len(addresses) - number + 1))
            sock.connect(address)
            return sock
        except OSError:
            sock.close()
            if number == len(addresses):
                raise
    raise OSError(f"{host} has no address")


def _without_tls(error: ssl.SSLError) -> Failure:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure("UNTRUSTED", error.verify_message)
    return Failure("NO_TLS", error.reason or str(error))


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Sequence[bytes],
    deadline: Deadline,
) -> None:
    """Ignores a connection closed early: the server's response tells more than the error."""

    def pieces() -> Iterator[bytes]:
        for piece in body:
            connection.sock.settimeout(deadline.timeout())
            yield piece

    headers = {"Content-Type": "application/json", "Content-Length": str(sum(map(len, body)))}
    try:
        connection.request(method, path, pieces(), headers)
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise


class _ReadInTime(socket.SocketIO):
    """Reads a socket within a deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        super().__init__(sock, "r")
        self._socket, self._deadline = sock, deadline

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._deadline.timeout())
        return super().readinto(buffer)
