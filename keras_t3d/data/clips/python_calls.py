"""Python functions in tf.data pipelines, which are idle when Python exits.

A thread that calls Python while it exits is ended, without a result. TensorFlow destroys the
remaining iterators after that, and waits for the result forever. So an exit begins with refusing
calls: the buffers that pipelines still fill are soon full.
"""

from __future__ import annotations

import atexit
import functools
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

_IDLE_SECONDS = 0.2  # without a call, after which hardly any comes
_MOST_SECONDS = 10.0  # in which refused calls may follow each other


def call_python(function: Callable[..., Any], arguments: Sequence[tf.Tensor], dtypes: Any) -> Any:
    """Calls a function of NumPy arrays, as `tf.numpy_function` does.

    Args:
        function: function that returns an array, or a list of them.
        arguments: its arguments.
        dtypes: TensorFlow's type of the array, or a list with that of each.

    Returns:
        A tensor, or a list of tensors, of unknown shapes.
    """

    @functools.wraps(function)
    def counted(*arrays: Any) -> Any:
        _CALLS.begin()
        try:
            return function(*arrays)
        finally:
            _CALLS.end()

    return tf.numpy_function(counted, arguments, dtypes)


class _Calls:
    """The calls that threads of TensorFlow make."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forgets all calls: a forked process has none."""
        self._lock = threading.Lock()
        self._running = 0
        self._latest = -math.inf  # when the latest call began, or was refused
        self._are_refused = False

    def begin(self) -> None:
        """Counts a call, or refuses it."""
        with self._lock:
            self._latest = time.monotonic()
            if self._are_refused:
                raise RuntimeError(
                    "A tf.data pipeline must not be read while Python exits, as functions "
                    "registered with `atexit` do: read it before."
                )
            self._running += 1

    def end(self) -> None:
        with self._lock:
            self._running -= 1

    def refuse(self) -> None:
        """Refuses calls from now on, and waits until none runs and hardly any is to come."""
        self._are_refused = True
        give_up = time.monotonic() + _MOST_SECONDS
        while self._running or (not self._are_idle() and time.monotonic() < give_up):
            time.sleep(_IDLE_SECONDS / 10)

    def _are_idle(self) -> bool:
        return time.monotonic() > self._latest + _IDLE_SECONDS


_CALLS = _Calls()
atexit.register(_CALLS.refuse)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_CALLS.forget)
