"""Trying again what may be tried again, later and later, in the time that there is."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from keras_t3d.deploy.serving_client.deadline import Deadline
from keras_t3d.deploy.serving_client.errors import Failure

Answer = TypeVar("Answer")

# Of these the request is not at fault, and was not answered: asking again does no harm.
_PASSING = {"UNREACHABLE", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"}
_FIRST_WAIT = 0.2  # seconds
_LONGEST_WAIT = 5.0


def with_retries(
    attempt: Callable[[Deadline], Answer],
    deadline: Deadline,
    attempts: int,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Calls `attempt` until it succeeds, fails for good, or time or attempts are used up.

    Waits are drawn between half and all of 0.2 s, 0.4 s, 0.8 s and so on up to 5 s:
    clients that failed together do not come back together.

    Args:
        attempt: called with the deadline; raises Failure.
        deadline: Deadline. Of all attempts and the waits between them.
        attempts: int. How many at most.
        sleep: called with the seconds to wait.

    Raises:
        Failure: the last attempt's.
    """
    for number in range(1, attempts + 1):
        try:
            return attempt(deadline)
        except Failure as failure:
            wait = min(_FIRST_WAIT * 2 ** (number - 1), _LONGEST_WAIT) * random.uniform(0.5, 1.0)
            is_last = number == attempts or wait >= deadline.left()
            if failure.code not in _PASSING or is_last:
                raise
        sleep(wait)
    raise AssertionError("attempts < 1")
