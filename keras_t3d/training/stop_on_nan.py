"""Stops training at a NaN or infinite loss, and records the videos of that batch."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_t3d.atomic import write_text
from keras_t3d.errors import KerasT3DError

NAN_BATCH = "nan_batch.json"


class DivergedError(KerasT3DError, ValueError):
    """The loss or the weights became NaN or infinite."""


@dataclasses.dataclass(eq=False)
class StopOnNaN(keras.callbacks.Callback):
    """Stops `fit` at a NaN or infinite loss, and writes the videos of that batch to a file.

    Keras logs the running mean of an epoch's loss, which stays NaN after the first NaN step.
    Reading it may wait for the device, so it is read every few steps, at the end of an epoch,
    and by `check`. The interval is in steps, not in seconds, so that all machines of a run stop
    at the same step.

    `nan_batch.json` holds:

    - `epoch` and `step`, counted from 1, and `steps_per_epoch`;
    - `global_step`, the number of steps before it: `load_clips(..., first_step=global_step)`
      starts with this batch;
    - `loss`: the running mean, `"nan"`, `"inf"` or `"-inf"`;
    - `videos`: ids of the videos; if they could not be read, `videos_error` holds the reason.

    Args:
        folder: folder of `nan_batch.json`.
        video_ids: returns the ids of the videos of a batch, by its `global_step`.
        steps_per_epoch: steps of a whole epoch.
        first_step: steps of the first epoch that are already done.
        every: steps between readings of the loss.
        writes: whether this machine writes the file.

    Raises:
        DivergedError: in `fit` or `check`, at a NaN or infinite loss.

    Example:

    ```python
    guard = StopOnNaN(pathlib.Path("runs/a"), lambda step: [], steps_per_epoch=100)
    learner.fit(train, steps_per_epoch=100, epochs=10, callbacks=[guard])
    ```
    """

    folder: pathlib.Path
    video_ids: Callable[[int], list[str]]
    steps_per_epoch: int
    first_step: int = 0
    every: int = 20
    writes: bool = True

    def __post_init__(self) -> None:
        super().__init__()
        self._epoch = 0
        self._epoch_start = 0
        self._unread: list[tuple[int, Any]] = []  # steps of this epoch and their losses

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._epoch_start, self.first_step = self.first_step, 0
        self._unread = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._unread.append((self._epoch_start + batch, logs["loss"]))
        if len(self._unread) >= self.every:
            self.check()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.check()

    def check(self) -> None:
        """Reads the losses of the steps so far; call it before saving weights.

        Raises:
            DivergedError: if a loss is NaN or infinite.
        """
        unread, self._unread = self._unread, []
        if not unread or math.isfinite(_value(unread[-1][1])):
            return  # a running mean stays NaN
        for step, loss in unread:
            if not math.isfinite(_value(loss)):
                self._stop(step, _value(loss))

    def _stop(self, step: int, loss: float) -> None:
        path = self.folder / NAN_BATCH
        if self.writes:
            write_text(path, json.dumps(self._describe(step, loss), indent=1, ensure_ascii=False))
        raise DivergedError(
            f"The loss became {loss} in epoch {self._epoch + 1}, step {step + 1} of "
            f"{self.steps_per_epoch}: training diverged, or the batch holds damaged videos. "
            f"Check the videos of that batch, listed in {path}. Then start a new run with a lower "
            "`optimizer.learning_rate`, or with gradient clipping, for example "
            "`optimizer.global_clipnorm` 1.0. The files of the run are from before that step."
        )

    def _describe(self, step: int, loss: float) -> dict[str, Any]:
        global_step = self._epoch * self.steps_per_epoch + step
        batch = {
            "epoch": self._epoch + 1,
            "step": step + 1,
            "steps_per_epoch": self.steps_per_epoch,
            "global_step": global_step,
            "loss": str(loss),  # JSON has no NaN
        }
        try:
            return {**batch, "videos": self.video_ids(global_step)}
        except (OSError, ValueError) as error:  # must not hide the NaN loss
            return {**batch, "videos": [], "videos_error": str(error)}


def _value(loss: Any) -> float:
    return float(keras.ops.convert_to_numpy(loss))


def check_finite(variables: Iterable[Any], epoch: int) -> None:
    """Checks that weights are finite: a finite loss may hide weights that are not.

    Raises:
        DivergedError: if a weight is NaN or infinite.
    """
    for variable in variables:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise DivergedError(
                f"Weights became NaN or infinite in epoch {epoch + 1}, first in {variable.path}: a "
                "gradient was too large. Start a new run with a lower `optimizer.learning_rate`, "
                "or with gradient clipping, for example `optimizer.global_clipnorm` 1.0. The files "
                "of the run are from before that step."
            )
