"""A server on this machine that publishes files, whole or broken off."""

import contextlib
import http.server
import threading


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `files` by name.

    Attributes:
        files: contents by name.
        requests: names that were asked for, in order.
        cut: bytes that are missing at the end of each answer.
        together: answers wait until this many requests have arrived.
    """

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.requests, self.cut = files, [], 0
        self.together = threading.Barrier(1)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/models"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/models/")
        self.server.requests.append(name)
        self.server.together.wait(60)
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) - self.server.cut])

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def serving(files):
    """Yields a `FileServer` of these files."""
    with FileServer(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
