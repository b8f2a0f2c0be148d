"""Deadlines of requests, and retries within them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from keras_t3d.deploy.serving_client.errors import Failure

Result = TypeVar("Result")

# The server did not process these requests, so that they can be sent again.
_RETRYABLE = {"UNREACHABLE", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"}
_FIRST_WAIT = 0.2  # seconds
_LONGEST_WAIT = 5.0


class Deadline:
    """The end of a request's time, shared by its retries, connections and reads.

    Args:
        seconds: time from now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Returns the seconds left, 0.0 after the deadline."""
        return max(self._end - time.monotonic(), 0.0)

    def timeout(self) -> float:
        """Returns the seconds left for a socket, for which 0 would mean not to wait at all.

        Raises:
            TimeoutError: after the deadline.
        """
        seconds = self.left()
        if seconds == 0:
            raise TimeoutError(f"no complete answer within {self.seconds:g} s")
        return seconds


def with_retries(
    attempt: Callable[[Deadline], Result],
    deadline: Deadline,
    attempts: int,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Calls `attempt` until it succeeds, fails permanently, or time or attempts run out.

    Waits are drawn between half and all of 0.2 s, 0.4 s, 0.8 s and so on up to 5 s, so that
    clients that failed together do not retry together.

    Raises:
        Failure: of the last attempt.
    """
    for number in range(1, attempts + 1):
        try:
            return attempt(deadline)
        except Failure as failure:
            wait = min(_FIRST_WAIT * 2 ** (number - 1), _LONGEST_WAIT) * random.uniform(0.5, 1.0)
            is_last = number == attempts or wait >= deadline.left()
            if failure.code not in _RETRYABLE or is_last:
                raise
        sleep(wait)
    raise AssertionError("attempts < 1")
