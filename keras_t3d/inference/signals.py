"""Stops long work in order on Ctrl-C and on requests to terminate."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_HANGUP = getattr(signal, "SIGHUP", None)  # missing on Windows
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([_HANGUP] if _HANGUP else []))
_NOT_REPLACED = (signal.SIG_IGN, None)  # None: a handler installed outside Python


class StoppedBySignal(KeyboardInterrupt):
    """A signal ended the work.

    Attributes:
        number: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


class StopRequest:
    """Whether a signal has asked the work to stop.

    Attributes:
        number: number of the first signal, or None.
    """

    number: int | None = None

    def __call__(self) -> bool:
        """Whether a signal has arrived."""
        return self.number is not None

    def check(self) -> None:
        """Raises StoppedBySignal if a signal has arrived."""
        if self.number is not None:
            raise StoppedBySignal(self.number)


@contextlib.contextmanager
def catch_stop_signals() -> Iterator[StopRequest]:
    """Records SIGINT, SIGTERM and SIGHUP, so that the work can stop at a safe point.

    An exception raised in the middle of a frame would leave an incomplete file. A second signal
    raises at once, except SIGHUP, of which a closing terminal sends several. Ignored signals stay
    ignored, as under nohup. Outside the main thread, which alone receives signals, nothing
    changes.

    Yields:
        StopRequest.

    Example:

    ```python
    with catch_stop_signals() as should_stop:
        for frame in range(1000):
            if should_stop():
                break
    ```
    """
    request = StopRequest()

    def record(number: int, frame: Any) -> None:
        if number == _HANGUP and request():
            return
        if request.number != _HANGUP:
            request.check()
        request.number = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    replaced = {n: handler for n, handler in handlers.items() if handler not in _NOT_REPLACED}
    for number in replaced:
        signal.signal(number, record)
    try:
        yield request
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
