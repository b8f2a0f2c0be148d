"""The time that a request has, in which everything that is done for it must end."""

from __future__ import annotations

import time


class Deadline:
    """An end of time that retries, connections and single reads share.

    Args:
        seconds: float. From now until then.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Returns the seconds that are left, 0.0 when it is over."""
        return max(self._end - time.monotonic(), 0.0)

    def timeout(self) -> float:
        """Returns the same for a socket, to which 0 would mean not to wait at all.

        Raises:
            TimeoutError: if nothing is left.
        """
        seconds = self.left()
        if seconds == 0:
            raise TimeoutError(f"no whole answer within {self.seconds:g} s")
        return seconds
