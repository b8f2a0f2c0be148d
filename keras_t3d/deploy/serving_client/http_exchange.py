"""One HTTP request and its answer within a deadline, by the standard library.

A socket's own time-out counts anew with every byte that comes or goes: so it is set
anew before each, to what is left.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from keras_t3d.deploy.serving_client.deadline import Deadline
from keras_t3d.deploy.serving_client.errors import Failure


def exchange(
    server: str, method: str, path: str, body: Sequence[bytes], deadline: Deadline
) -> tuple[int, bytes]:
    """Sends a request; returns the answer's status and body.

    Args:
        server: str. `http://host:8501`; `https://host` goes by TLS.
        method: str. `"GET"` or `"POST"`.
        path: str.
        body: bytes in pieces, JSON; none for GET.
        deadline: Deadline. Of everything but the look-up of the host's name, for which the
            system has a limit of its own.

    Raises:
        Failure: if no answer came.
        ValueError: if there can be no such server.
    """
    try:
        with contextlib.closing(_connected(urlsplit(server), deadline)) as connection:
            _send(connection, method, path, body, deadline)
            response = _response(connection, method, deadline)
            with contextlib.closing(response):
                response.begin()
                if 300 <= response.status < 400:
                    sent_on = f"HTTP {response.status}, on to {response.getheader('Location')}"
                    raise Failure("NOT_TF_SERVING", sent_on)
                return response.status, response.read()
    except TimeoutError:
        raise Failure(
            "DEADLINE_EXCEEDED", f"no whole answer within {deadline.seconds:g} s"
        ) from None
    except ssl.SSLEOFError as error:  # of a connection that was there
        raise Failure("UNREACHABLE", str(error)) from None
    except ssl.SSLError as error:
        raise _without_tls(error) from None
    except (OSError, http.client.IncompleteRead) as error:
        raise Failure("UNREACHABLE", str(error) or type(error).__name__) from None
    except (http.client.InvalidURL, UnicodeError) as error:
        raise ValueError(
            "Expected a host's name or number, and a port, for example http://localhost:8501 "
            f"({error}). Received: {server}"
        ) from None
    except http.client.HTTPException as error:
        raise Failure("NOT_TF_SERVING", repr(error)) from None


def _connected(server: SplitResult, deadline: Deadline) -> http.client.HTTPConnection:
    """Connects to the first of the host's addresses that answers.

    Not by `connect()`, which would give each of them, and TLS, all of the time.
    """
    context = ssl.create_default_context() if server.scheme.lower() == "https" else None
    connection = (
        http.client.HTTPConnection(server.netloc)
        if context is None
        else http.client.HTTPSConnection(server.netloc, context=context)
    )
    connection.sock = sock = _first_that_answers(connection.host, connection.port, deadline)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        try:
            sock.settimeout(deadline.timeout())
            connection.sock = context.wrap_socket(sock, server_hostname=connection.host)
        except ssl.SSLError as error:
            raise _without_tls(error) from None
        finally:
            sock.close()  # closed already where TLS has taken it over
    return connection


def _first_that_answers(host: str, port: int, deadline: Deadline) -> socket.socket:
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
    """A server that has read enough may say so and close: its answer says more than the error."""
    headers = {"Content-Type": "application/json", "Content-Length": str(sum(map(len, body)))}
    try:
        connection.request(method, path, _in_time(connection, body, deadline), headers)
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise


def _in_time(
    connection: http.client.HTTPConnection, body: Sequence[bytes], deadline: Deadline
) -> Iterator[bytes]:
    for piece in body:
        connection.sock.settimeout(deadline.timeout())
        yield piece


def _response(
    connection: http.client.HTTPConnection, method: str, deadline: Deadline
) -> http.client.HTTPResponse:
    socket_in_time: Any = _SocketInTime(connection.sock, deadline)
    return http.client.HTTPResponse(socket_in_time, method=method)


class _SocketInTime:
    """What HTTPResponse needs of a socket: a file to read, here within a deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._sock, self._deadline))


class _Reading(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.timeout())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
