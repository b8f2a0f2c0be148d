"""Options of streams: which frames a prediction is about."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from keras_t3d.errors import check_argument, check_integer

AverageOver = Literal["mean", "exponential", "window"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """Which frames a prediction of a stream is about.

    Args:
        average_over: average features over all steps since the reset (mean), over all with
            exponentially decaying weights (exponential), or over the last steps (window)
        average_rate: weight of the newest step of the exponential average, above 0 and below 1; the
            first steps have the weights of a mean
        average_steps: steps of the window

    Raises:
        InvalidArgumentError: if an option is out of its range.

    Example:

    ```python
    StreamOptions(average_over="window", average_steps=32)
    ```
    """

    average_over: AverageOver = "mean"
    average_rate: float = 0.1
    average_steps: int = 16

    def __post_init__(self) -> None:
        rules, rate = get_args(AverageOver), self.average_rate
        rule = f"one of {', '.join(rules)}"
        check_argument("average_over", self.average_over, self.average_over in rules, rule)
        check_argument("average_rate", rate, 0 < rate < 1, "above 0 and below 1, for example 0.1")
        check_integer("average_steps", self.average_steps, 1, 16)
