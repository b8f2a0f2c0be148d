"""HTTP exchanges: deadlines and TLS."""

import contextlib
import http.server
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from keras_t3d.deploy import connect
from keras_t3d.deploy.serving_client import errors
from keras_t3d.deploy.serving_client.deadline import Deadline
from keras_t3d.deploy.serving_client.http_exchange import exchange

BODY = b'{"model_version_status": [' + b" " * 20 + b"]}"


@contextlib.contextmanager
def serving(answer):
    """Gives the port of a server whose every connection is given to `answer`."""
    ended = threading.Event()

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # closed
                return
            with connection, contextlib.suppress(OSError):
                answer(connection, ended)

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)


def head(length):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()


def address(port, scheme="http"):
    return f"{scheme}://127.0.0.1:{port}/v1/models/t3d"


# The deadline.


@pytest.mark.parametrize("at_once", [b"", head(len(BODY))])
def test_deadline_holds_for_a_slow_response(at_once):
    """Of the header, and of the body: a right answer, but one of seconds."""

    def trickle(connection, ended):
        connection.recv(10_000)
        connection.sendall(at_once)
        for byte in (head(len(BODY)) + BODY)[len(at_once) :]:
            if ended.wait(0.1):
                return
            connection.sendall(bytes([byte]))

    with serving(trickle) as port, pytest.raises(errors.TimedOutError, match=r"within 0\.5 s"):
        connect(address(port), timeout=0.5).status()


def test_deadline_holds_for_a_slow_reader():
    def sip(connection, ended):
        while not ended.wait(0.1) and connection.recv(2**16):
            pass

    taken = []

    class Body(list):
        def __iter__(self):
            for piece in super().__iter__():
                taken.append(piece)
                yield piece

    body = Body([bytes(2**16)] * 300)  # half a minute's
    with serving(sip) as port, pytest.raises(errors.Failure) as failure:
        exchange(f"http://127.0.0.1:{port}", "POST", "/", body, Deadline(0.5))
    assert failure.value.code == "DEADLINE_EXCEEDED"
    assert len(taken) < 300 + 300  # once to add up their lengths


def test_chunked_response_is_joined():
    def answer(connection, ended):
        request = b""
        while not request.endswith(b"abcdef"):
            request += connection.recv(10_000)
        said = b"%d" % len(request.partition(b"\r\n\r\n")[2])
        connection.sendall(head(len(said) + len(BODY)))
        ended.wait(0.05)
        connection.sendall(said + BODY)

    with serving(answer) as port:
        found = exchange(f"http://127.0.0.1:{port}", "POST", "/", [b"abc", b"def"], Deadline(60))
    assert found == (200, b"6" + BODY)


def test_interrupted_response_is_unreachable():
    def cut(connection, ended):
        connection.recv(10_000)
        connection.sendall(head(100) + b"abc")

    with serving(cut) as port, pytest.raises(errors.Failure) as failure:
        exchange(f"http://127.0.0.1:{port}", "GET", "/", (), Deadline(60))
    assert failure.value.code == "UNREACHABLE"


def test_no_time_is_left_after_the_deadline():
    over = Deadline(0)
    assert over.left() == 0
    with pytest.raises(TimeoutError):
        over.timeout()
    assert 50 < Deadline(60).timeout() <= 60


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that nobody has signed, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl")
    folder = tmp_path_factory.mktemp("certificate")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=keras-t3d".split()
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    name = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *words, *files, *name], check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_port(certificate):
    """Of a server that says by TLS that it has no version of a model."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(head(len(BODY)) + BODY)

        def log_message(self, *_):
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_untrusted_certificate(tls_port, no_waiting):
    with pytest.raises(errors.TLSError, match=r"self.signed"):
        connect(address(tls_port, "https")).status()
    assert no_waiting == []


def test_a_trusted_certificate(tls_port, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "certificate.pem"))
    assert connect(address(tls_port, "https")).status() == []


def test_certificate_of_another_host(tls_port, certificate, monkeypatch, no_waiting):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "certificate.pem"))
    with pytest.raises(errors.TLSError, match="Hostname mismatch"):
        connect(address(tls_port, "https").replace("127.0.0.1", "localhost")).status()
    assert no_waiting == []


def test_a_server_without_tls(no_waiting):
    def answer(connection, ended):
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(answer) as port, pytest.raises(errors.TLSError, match="TLS"):
        connect(address(port, "https")).status()
    assert no_waiting == []


def test_handshake_timeout():
    def say_nothing(connection, ended):
        ended.wait(60)

    with serving(say_nothing) as port, pytest.raises(errors.TimedOutError):
        connect(address(port, "https"), timeout=0.3).status()
