"""Python functions in tf.data pipelines, which rest before Python ends.

Threads that call Python while it ends are ended themselves, and TensorFlow, which destroys the
remaining iterators last, would wait for their results forever.
"""

from __future__ import annotations

import atexit
import functools
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

_QUIET = 0.2  # seconds without a call: nothing more is to come, as the buffers are full
_LONGEST = 10.0  # seconds that Python waits


def call_python(function: Callable[..., Any], arguments: Sequence[tf.Tensor], kinds: Any, /) -> Any:
    """`tf.numpy_function`, for pipelines that may be in use when Python ends."""

    @functools.wraps(function)
    def called(*values: Any) -> Any:
        _CALLS.begin()
        try:
            return function(*values)
        finally:
            _CALLS.end()

    return tf.numpy_function(called, arguments, kinds)


class _Calls:
    """The calls that threads of TensorFlow make."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._latest = -math.inf  # when the latest began, or was refused
        self._are_refused = False

    def begin(self) -> None:
        with self._lock:
            self._latest = time.monotonic()
            if self._are_refused:
                raise RuntimeError("Python ends")  # for a buffer that nobody reads
            self._running += 1

    def end(self) -> None:
        with self._lock:
            self._running -= 1

    def refuse(self) -> None:
        """Refuses calls from now on, and waits until none comes."""
        self._are_refused = True
        give_up = time.monotonic() + _LONGEST
        while time.monotonic() < give_up and not self._rest():
            time.sleep(_QUIET / 10)

    def _rest(self) -> bool:
        with self._lock:
            return not self._running and time.monotonic() > self._latest + _QUIET


_CALLS = _Calls()
atexit.register(_CALLS.refuse)
