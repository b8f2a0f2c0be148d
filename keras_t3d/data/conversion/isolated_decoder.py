"""Decodes videos in a separate process, so that a crash or a hang costs one video only."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

from keras_t3d.data.conversion.errors import ConversionError, full_disk_error
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.sources.listing import VideoEntry


class IsolatedDecoder:
    """Writes the records of videos in a separate process, which restarts when it dies.

    Args:
        time_limit: seconds without a new frame after which decoding is stopped.

    Example:

    ```python
    decoder = IsolatedDecoder(time_limit=120.0)
    outcome = decoder.write_records(entry, 0, ConversionOptions(), "records.tfrecord")
    decoder.stop()
    ```
    """

    def __init__(self, time_limit: float) -> None:
        self.time_limit = time_limit
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._starting = threading.Lock()  # no process starts after `stop`
        self._answering = threading.Lock()  # the thread that reads the pipes closes them

    def stop(self) -> None:
        """Ends the process, from any thread; a task in progress raises a ConversionError.

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

    def write_records(
        self, entry: VideoEntry, label_index: int, options: ConversionOptions, path: pathlib.Path
    ) -> Outcome:
        """Writes the records of one video to a file, see `write_video_records`.

        Returns:
            An Outcome. A video that kills the process twice, or exceeds the time limit, is
            rejected.

        Raises:
            ConversionError: if the disk is full, a file cannot be written, or `stop` is called.
        """
        task = {
            "entry": dataclasses.asdict(entry),
            "label_index": label_index,
            "options": dataclasses.asdict(options),
            "path": os.fspath(path),
        }
        # Twice: the system may have killed it because another process used up the memory.
        answer = self._answer(task)
        if "died" in answer:
            answer = self._answer(task)
        if self._stopped:
            raise ConversionError("The conversion was stopped")
        if "died" in answer:
            return Outcome(reason=f"The decoder crashed ({answer['died']})")
        if "hung" in answer:
            return Outcome(reason=f"Decoding timed out: no frame for {self.time_limit:g} s")
        if "disk_full" in answer:
            raise full_disk_error(path.parent)
        if "failure" in answer:
            raise ConversionError(f"{answer['failure']} (at {entry.video_id})")
        return Outcome(**answer)

    def read_header(self, path: str) -> dict[str, Any]:
        """Returns `seconds`, `fps`, `height` and `width` of a video's header; empty if unknown."""
        answer = self._answer({"header": path})
        return answer if answer.get("seconds") else {}

    def _answer(self, task: dict[str, Any]) -> dict[str, Any]:
        with self._answering:
            return self._answer_of(self._running(), task)

    def _running(self) -> subprocess.Popen[str]:
        with self._starting:
            if self._stopped:
                raise ConversionError("The conversion was stopped")
            self._process = self._process or _start_process()
            return self._process

    def _answer_of(self, process: subprocess.Popen[str], task: dict[str, Any]) -> dict[str, Any]:
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            process.kill()

        try:
            print(json.dumps(task), file=process.stdin, flush=True)
            while True:
                timer = threading.Timer(self.time_limit, give_up)
                timer.start()
                try:
                    line = process.stdout.readline()  # type: ignore[union-attr]
                finally:
                    timer.cancel()
                if not line.endswith("\n"):  # the process ended
                    break
                answer = json.loads(line)
                if "alive" not in answer:
                    return answer
        except BrokenPipeError:
            pass
        status = self._end(process)
        if hung.is_set():
            return {"hung": True}
        return {"died": f"signal {-status}" if status < 0 else f"exit status {status}"}

    def _end(self, process: subprocess.Popen[str]) -> int:
        """Waits for a process that ends, closes its pipes and returns its exit status."""
        process.communicate()
        with self._starting:
            self._process = None
        return process.returncode


def _start_process() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "keras_t3d.data.conversion.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # The process must find the same modules.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        text=True,
        encoding="ascii",
    )
