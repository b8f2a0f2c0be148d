"""Options of streams: how the frames seen so far become one answer."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from keras_t3d.errors import check_argument, check_integer

AnswerOver = Literal["mean", "exponential", "window"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """What the answer of a stream is about.

    Args:
        answer_over: average features over all steps since the reset (mean), over all with
            exponentially decaying weights (exponential), or over the last steps (window)
        answer_rate: weight of the newest step of the exponential average, above 0 and below 1; the
            first steps have the weights of a mean
        answer_steps: steps of the window

    Raises:
        InvalidArgumentError: if an option is out of its range.

    Example:

    ```python
    StreamOptions(answer_over="window", answer_steps=32)
    ```
    """

    answer_over: AnswerOver = "mean"
    answer_rate: float = 0.1
    answer_steps: int = 16

    def __post_init__(self) -> None:
        rules, rate = get_args(AnswerOver), self.answer_rate
        rule = f"one of {', '.join(rules)}"
        check_argument("answer_over", self.answer_over, self.answer_over in rules, rule)
        check_argument("answer_rate", rate, 0 < rate < 1, "above 0 and below 1, for example 0.1")
        check_integer("answer_steps", self.answer_steps, 1, 16)
