"""Stops a training whose loss is no number any more, and says by which batch."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_t3d.atomic import write_text

NAN_BATCH = "nan_batch.json"


class LossWatch(keras.callbacks.Callback):
    """Stops `fit` at a loss that is NaN or infinite, and writes down the videos of that batch.

    Keras logs the mean loss of an epoch so far, which is no number from the first bad step
    on. Reading it may wait for the device: it is read every some steps, at the end of an
    epoch and by `check`. These count steps, not time, so that all machines of a run stop
    at the same step.

    `nan_batch.json` holds:

    - `epoch` and `step`, counted from 1, and `steps_per_epoch`;
    - `global_step`, the steps before it: `load_clips(..., first_step=global_step)` begins
      with this batch;
    - `loss`: the mean of the epoch so far, `"nan"`, `"inf"` or `"-inf"`;
    - `videos`: their ids; where they could not be read, `videos_unknown` says why.

    Args:
        folder: pathlib.Path. Where `nan_batch.json` is written.
        videos: gives the ids of the videos of a batch by its `global_step`.
        steps_per_epoch: int. Of whole epochs.
        first_step: int. Steps of the first epoch that are done already. Defaults to `0`.
        every: int. Steps after which the loss is read. Defaults to `20`.
        writes: bool. Whether this machine writes. Defaults to `True`.

    Raises:
        ValueError: in `fit` or `check`, at a loss that is no number.

    Example:

    ```python
    watch = LossWatch(pathlib.Path("runs/a"), videos, steps_per_epoch=100)
    learner.fit(train, steps_per_epoch=100, epochs=10, callbacks=[watch])
    ```
    """

    def __init__(
        self,
        folder: pathlib.Path,
        videos: Callable[[int], list[str]],
        steps_per_epoch: int,
        first_step: int = 0,
        every: int = 20,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._videos = videos
        self._steps_per_epoch = steps_per_epoch
        self._done_before = first_step
        self._every = every
        self._writes = writes
        self._epoch = 0
        self._start = 0
        self._unread: list[tuple[int, Any]] = []  # steps of this epoch, and their logged losses

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._start, self._done_before = self._done_before, 0
        self._unread = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._unread.append((self._start + batch, logs["loss"]))
        if len(self._unread) >= self._every:
            self.check()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.check()

    def check(self) -> None:
        """Reads the losses of the steps so far; to be called before weights are kept.

        Raises:
            ValueError: if one is no number.
        """
        unread, self._unread = self._unread, []
        if not unread or math.isfinite(_value(unread[-1][1])):
            return  # a mean that was no number would still be none
        for step, loss in unread:
            if not math.isfinite(_value(loss)):
                self._stop(step, _value(loss))

    def _stop(self, step: int, loss: float) -> None:
        path = self._folder / NAN_BATCH
        if self._writes:
            write_text(path, json.dumps(self._found(step, loss), indent=1, ensure_ascii=False))
        raise ValueError(
            f"The loss became {loss} in epoch {self._epoch + 1}, step {step + 1} of "
            f"{self._steps_per_epoch}: the training diverged, or the batch holds odd videos. "
            f"{path} lists the videos of that batch: look at them. Then start a new run with a "
            "lower optimizer.learning_rate, or with clipped gradients, for example "
            "optimizer.global_clipnorm 1.0. The run's files are those from before that step."
        )

    def _found(self, step: int, loss: float) -> dict[str, Any]:
        global_step = self._epoch * self._steps_per_epoch + step
        found = {
            "epoch": self._epoch + 1,
            "step": step + 1,
            "steps_per_epoch": self._steps_per_epoch,
            "global_step": global_step,
            "loss": str(loss),  # JSON has no NaN
        }
        try:
            return {**found, "videos": self._videos(global_step)}
        except (OSError, ValueError) as error:  # must not hide what happened
            return {**found, "videos": [], "videos_unknown": str(error)}


def _value(loss: Any) -> float:
    return float(keras.ops.convert_to_numpy(loss))


def check_finite(variables: Iterable[Any], epoch: int) -> None:
    """Refuses weights that are no numbers, which a loss that still was one may hide.

    Raises:
        ValueError: if there are any.
    """
    for variable in variables:
        if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
            raise ValueError(
                f"Weights became NaN or infinite in epoch {epoch + 1}, first seen in "
                f"{variable.path}: a gradient was too large. Start a new run with a lower "
                "optimizer.learning_rate, or with clipped gradients, for example "
                "optimizer.global_clipnorm 1.0. The run's files are those from before."
            )
