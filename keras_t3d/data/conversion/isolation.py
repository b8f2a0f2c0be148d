"""Decoding in processes that a video may crash or hang, at no cost but that video."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

from keras_t3d.data.conversion.video_records import Outcome, RecordOptions
from keras_t3d.data.sources.listing import VideoEntry


class ConversionError(RuntimeError):
    """The conversion cannot go on, for a reason that is no video's; the message says it."""


@contextlib.contextmanager
def disk_full_named(folder: pathlib.Path) -> Iterator[None]:
    """Turns the error of a full disk into a ConversionError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise disk_full(folder) from None


def disk_full(folder: pathlib.Path) -> ConversionError:
    """Returns the error of a full disk, which says what to do."""
    return ConversionError(
        f"The disk of {folder} is full. Free some space and run again: it goes on."
    )


def check_time_limit(time_limit: float) -> None:
    """Raises a ValueError for a limit that a process does not even need to start."""
    if not time_limit >= 1:
        raise ValueError(
            f"--time-limit must be at least 1 second, for example 120. Received: {time_limit}"
        )


class IsolatedDecoder:
    """Writes the records of videos in a process of its own, started anew when it dies.

    Args:
        time_limit: float. Seconds that a video may take until its next frame.

    Example:

    ```python
    decoder = IsolatedDecoder(time_limit=120.0)
    outcome = decoder.write_records(entry, 0, RecordOptions(), "records.tfrecord")
    decoder.stop()
    ```
    """

    def __init__(self, time_limit: float) -> None:
        self.time_limit = time_limit
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._starting = threading.Lock()  # no process is started once it is stopped
        self._answering = threading.Lock()  # who reads its pipes is who closes them

    def stop(self) -> None:
        """Ends the process, from any thread; what it is at then raises a ConversionError.

        Returns when the process is gone, and its pipes are closed.
        """
        with self._starting:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
        # The kill ends what another thread reads, which then lets go of this lock.
        with self._answering:
            if self._process is not None:
                self._end(self._process)

    def write_records(
        self, entry: VideoEntry, label_index: int, options: RecordOptions, path: pathlib.Path
    ) -> Outcome:
        """Writes the records of one video to a file, see `write_video_records`.

        Returns:
            An Outcome: a video that kills the process, twice, or gives no frame for the time
            limit is rejected.

        Raises:
            ConversionError: if the disk is full, a file cannot be written, or `stop` was called.
        """
        task = {
            "entry": dataclasses.asdict(entry),
            "label_index": label_index,
            "options": dataclasses.asdict(options),
            "path": os.fspath(path),
        }
        # Twice, as it may have been killed for what another process did to the machine's memory.
        answer = self._answer(task)
        if "died" in answer:
            answer = self._answer(task)
        if self._stopped:
            raise ConversionError("The conversion was stopped")
        if "died" in answer:
            return Outcome(reason=f"Its decoder died ({answer['died']})")
        if "hung" in answer:
            return Outcome(reason=f"Decoding timed out: no frame for {self.time_limit:g} s")
        if "disk_full" in answer:
            raise disk_full(path.parent)
        if "failure" in answer:
            raise ConversionError(f"{answer['failure']} (at {entry.video_id})")
        return Outcome(**answer)

    def promise(self, path: str) -> dict[str, Any]:
        """Returns what a video's header says: `seconds`, `fps`, `height`, `width`, or nothing."""
        answer = self._answer({"probe": path})
        return answer if answer.get("seconds") else {}

    def _answer(self, task: dict[str, Any]) -> dict[str, Any]:
        with self._answering:
            return self._answer_of(self._running(), task)

    def _running(self) -> subprocess.Popen[str]:
        with self._starting:
            if self._stopped:
                raise ConversionError("The conversion was stopped")
            self._process = self._process or _started()
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
                if not line.endswith("\n"):  # it ended, perhaps within a word
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
        """Waits for a process that is dying and closes its pipes; gives its exit status."""
        process.communicate()
        with self._starting:
            self._process = None
        return process.returncode


def _started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "keras_t3d.data.conversion.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # What is imported here must be found there.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        text=True,
        encoding="ascii",
    )
