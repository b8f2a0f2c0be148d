"""Decodes videos in a separate process, so that a crash or a hang costs one video only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any

from keras_t3d.errors import KerasT3DError

# There is a process per core. Where cores are busy, two threads of a matrix product wait for each
# other many times longer than they compute.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class StoppedError(KerasT3DError, RuntimeError):
    """A DecodingProcess was stopped, which is not the fault of its video."""


class DecodingProcess:
    """A process that answers tasks, one at a time, and restarts when it dies.

    Args:
        module: module to run, which calls `keras_t3d.data.video.decoding_worker.answer_tasks`.
        time_limit: seconds without a new frame after which decoding is stopped.

    Example:

    ```python
    process = DecodingProcess("keras_t3d.data.conversion.worker", time_limit=120.0)
    answer, content = process.answer({"header": "clip.mp4"})
    process.stop()
    ```
    """

    def __init__(self, module: str, time_limit: float) -> None:
        self.time_limit = time_limit
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._death = ""  # how the last process died
        self._starting = threading.Lock()  # no process starts after `stop`
        self._answering = threading.Lock()  # the thread that reads the pipes closes them

    def start(self) -> None:
        """Starts the process, which `answer` else does, and does not wait until it is ready."""
        self._running()

    def stop(self) -> None:
        """Ends the process, from any thread; a task in progress raises a StoppedError.

        Returns once the process has ended and its pipes are closed.
        """
        with self._starting:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
        # Killing it ends the read of another thread, which then releases this lock.
        with self._answering:
            if self._process is not None:
                self._end(self._process)

    def answer(self, task: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Returns what the module answers to a task: JSON values and bytes.

        Returns:
            The answer; `{"reason": ...}` for a task that kills the process twice or exceeds the
            time limit.

        Raises:
            StoppedError: if `stop` is called.
        """
        # Twice: the system may have killed it because another process used up the memory.
        answer = self._answer(task) or self._answer(task)
        if self._stopped:
            raise StoppedError("Decoding was stopped")
        return answer or ({"reason": f"The decoder crashed ({self._death})"}, b"")

    def _answer(self, task: dict[str, Any]) -> tuple[dict[str, Any], bytes] | None:
        """Returns the answer to a task; None if the process died."""
        with self._answering:
            return self._answer_of(self._running(), task)

    def _running(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._stopped:
                raise StoppedError("Decoding was stopped")
            self._process = self._process or _start_process(self._module)
            return self._process

    def _answer_of(
        self, process: subprocess.Popen[bytes], task: dict[str, Any]
    ) -> tuple[dict[str, Any], bytes] | None:
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            process.kill()

        try:
            process.stdin.write(json.dumps(task).encode() + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            while True:
                timer = threading.Timer(self.time_limit, give_up)
                timer.start()
                try:
                    message = _read_message(process.stdout)
                finally:
                    timer.cancel()
                if message is None:  # the process ended
                    break
                if "alive" not in message[0]:
                    return message
        except BrokenPipeError:
            pass
        status = self._end(process)
        if hung.is_set():
            reason = f"Decoding timed out: no frame for {self.time_limit:g} s"
            return {"reason": reason}, b""
        self._death = f"signal {-status}" if status < 0 else f"exit status {status}"
        return None

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Waits for a process that ends, closes its pipes and returns its exit status."""
        process.communicate()
        with self._starting:
            self._process = None
        return process.returncode


def _read_message(pipe: Any) -> tuple[dict[str, Any], bytes] | None:
    """Reads what `send` of the worker wrote; returns None at the end of a pipe."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    size = message.pop("bytes", 0)
    content = pipe.read(size)
    return (message, content) if len(content) == size else None


def _start_process(module: str) -> subprocess.Popen[bytes]:
    paths = [path or os.getcwd() for path in sys.path]  # it must find the same modules
    return subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)},
    )
