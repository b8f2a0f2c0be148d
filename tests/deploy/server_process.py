"""`keras-t3d serve` in a separate process, so that its memory can be measured."""

import contextlib
import functools
import os
import pathlib
import re
import signal
import subprocess
import sys

_PORT = re.compile(r"127\.0\.0\.1:(\d+)/")


@contextlib.contextmanager
def started(model, threads=None):
    """Serves a model; yields ports ("rest", "grpc"), "pid", "process", and the "lines" it printed.

    The model has the name of the file or folder.
    """
    words = ["serve", str(model), "--rest-port", "0", "--grpc-port", "0"]
    limit = {} if threads is None else {"TF_NUM_INTRAOP_THREADS": str(threads)}
    limit |= {} if threads is None else {"TF_NUM_INTEROP_THREADS": str(threads)}
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_t3d.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **limit},
        # A test run in the background of a script ignores it, and so do its processes.
        preexec_fn=functools.partial(  # noqa: PLW1509  no thread holds a lock here
            signal.signal, signal.SIGINT, signal.default_int_handler
        ),
    )
    try:
        lines = [process.stdout.readline() for _ in range(4)]
        if not lines[-1]:
            raise RuntimeError(f"The server did not start: keras-t3d {' '.join(words)}")
        rest, grpc = (int(_PORT.search(line)[1]) for line in lines[1:3])
        ports = {"rest": rest, "grpc": grpc}
        yield {**ports, "pid": process.pid, "process": process, "lines": lines}
    finally:
        process.terminate()
        process.wait()


def resident_bytes(pid):
    """Returns the current memory of a process. Linux only."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])
