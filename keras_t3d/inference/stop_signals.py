"""Ctrl-C, and requests to terminate, that let long work end in order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([_HANGUP] if _HANGUP else []))
_LEFT_ALONE = (signal.SIG_IGN, None)  # None: set by a program around Python


class Stopped(KeyboardInterrupt):
    """Work ended because a signal asked for it.

    Attributes:
        number: int. The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


class StopRequest:
    """Whether a signal has asked to stop.

    Attributes:
        number: int or None. The signal that came first.
    """

    number: int | None = None

    def __call__(self) -> bool:
        """Whether one came."""
        return self.number is not None

    def check(self) -> None:
        """Does nothing until one comes.

        Raises:
            Stopped: if one came.
        """
        if self.number is not None:
            raise Stopped(self.number)


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[StopRequest]:
    """Makes Ctrl-C, a request to terminate, and a closed terminal end work where it asks for them.

    Raised in the midst of a frame, they would leave a file with a hole. A second one interrupts
    at once, but for those of a closed terminal, which come in numbers. A signal that is ignored
    stays so, as under nohup; outside the main thread, which alone gets signals, nothing changes.

    Yields:
        StopRequest.

    Example:

    ```python
    with stopped_by_signals() as stopped:
        for frame in frames:
            file.write(frame)
            if stopped():
                break
    ```
    """
    asked = StopRequest()

    def ask(number: int, at: Any) -> None:
        if number == _HANGUP and asked():
            return
        if asked.number != _HANGUP:
            asked.check()
        asked.number = number

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    changed = {n: handler for n, handler in handlers.items() if handler not in _LEFT_ALONE}
    for number in changed:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)
