"""Runs Python programs in processes of their own without importing the framework each time.

Importing TensorFlow and Keras takes longer than what most programs of the tests do. A server
process imports them once and forks for each program, so every program starts from the same
fresh state. `run` and `start` take what follows `python` on a command line:

    done = forked.run(["-m", "keras_t3d.cli", "train", "--config", path])
    process = forked.start(["-c", code, "1"], backend="jax", env={"XLA_FLAGS": flags})
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import importlib
import importlib.util
import json
import os
import pathlib
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests import grappler

ROOT = pathlib.Path(__file__).parents[1]
# For `XLA_FLAGS` of JAX's processes: compiling takes all the time in small tests.
QUICK_COMPILING = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
_PRELOADED = ("keras", "keras_t3d.models", "matplotlib.figure", "jsonargparse", "av")


class ForkedProcess:
    """A program that runs, with the interface of `subprocess.Popen` that the tests use."""

    def __init__(self, job: socket.socket, words: Sequence[str], out: Any, err: Any) -> None:
        self.args = list(words)
        self.returncode: int | None = None
        self._job, self._out, self._err = job, out, err
        self.pid = int(_read_line(job))

    def poll(self) -> int | None:
        """Returns the exit code, or None while the program runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.001)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._job.settimeout(timeout)
            try:
                code = self._job.recv(16)
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self.returncode = int(code or -signal.SIGKILL)
            self._job.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for the program; returns its standard output and its standard error."""
        self.wait(timeout)
        return _read(self._out), _read(self._err)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _read_line(connection: socket.socket) -> str:
    """Reads no byte of what follows the line."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("the server ended")
        line += byte
    return line.decode()


def _read(file: Any) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def start(
    words: Sequence[str],
    *,
    backend: str = "tensorflow",
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] = ROOT,
) -> ForkedProcess:
    """Starts a program in a process forked from one that has imported the backend.

    Args:
        words: `-m MODULE` or `-c CODE`, then the program's arguments.
        backend: Keras backend. Processes of JAX and PyTorch cannot import TensorFlow.
        env: environment variables to set besides those of this process.
        cwd: working directory.
    """
    words = [str(word) for word in words]
    variables = {**os.environ, **(env or {}), "KERAS_BACKEND": backend}
    out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115
    job = socket.socket(socket.AF_UNIX)
    job.connect(_server(backend))
    request = json.dumps({"words": words, "env": variables, "cwd": str(cwd)})
    socket.send_fds(job, [b"."], [out.fileno(), err.fileno()])
    job.sendall(request.encode() + b"\n")
    return ForkedProcess(job, words, out, err)


def run(
    words: Sequence[str], *, timeout: float = 400, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end: see `start` and `subprocess.run`."""
    process = start(words, **options)
    try:
        out, err = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    if check:
        assert process.returncode == 0, err[-3000:]
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


def run_on_cpu(backend: str, words: Sequence[str]) -> str:
    """Runs a program on a backend other than TensorFlow; returns its standard output.

    Skips the test if the backend is not installed.
    """
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}: make test EXTRAS=dev,backends")
    environment = {
        "CUDA_VISIBLE_DEVICES": "",  # convolutions on GPUs round to TensorFloat-32
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": QUICK_COMPILING,
    }
    return run(words, backend=backend, env=environment, check=True).stdout


@functools.cache
def _server(backend: str) -> str:
    """Returns the path of the socket of a backend's server, which all processes of a run share."""
    path = pathlib.Path(tempfile.gettempdir()) / f"forked-{backend}"
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first one starts the server, others wait for it
        if not path.exists():
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(path), backend],
                cwd=ROOT,
                env={**os.environ, "KERAS_BACKEND": backend},
                stdin=subprocess.DEVNULL,
            )
            while not path.exists():
                assert server.poll() is None, f"the server of {backend} ended while it was starting"
                time.sleep(0.02)
    return str(path)


# The server.


def _serve(path: str, backend: str) -> dict[str, Any]:
    """Forks for each request; returns the request in the forked process alone."""
    if backend != "tensorflow":
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # importing it fails
    for name in (backend, *_PRELOADED):
        importlib.import_module(name)
    grappler.turn("off")
    gc.freeze()  # forked processes need not look through these objects
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.part")
    listener.listen()
    os.rename(f"{path}.part", path)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for monitors
    run = int(os.environ["TEST_RUN_PID"])
    while True:
        listener.settimeout(1)
        try:
            job, _ = listener.accept()
        except TimeoutError:
            if not os.path.exists(path) or not _is_alive(run):
                sys.exit()
            continue
        if os.fork() == 0:
            listener.close()
            return _monitor(job)
        job.close()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _monitor(job: socket.socket) -> dict[str, Any]:
    """Forks again; reports how that process ends, and returns the request in it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    job.settimeout(None)
    _, descriptors, _, _ = socket.recv_fds(job, 1, 2)
    request = json.loads(_read_line(job))
    pid = os.fork()
    if pid:
        job.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):  # nobody asks any more
            job.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    job.close()
    for number, descriptor in enumerate(descriptors, start=1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    return request


def _run(request: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    if request["cwd"] not in sys.path:
        sys.path.insert(0, request["cwd"])
    kind, program, *arguments = request["words"]
    sys.argv = [kind, *arguments]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    _run(_serve(*sys.argv[1:]))
