"""The progress display of training."""

from __future__ import annotations

import atexit
import dataclasses
import datetime
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_REDRAW = 0.5  # seconds; reading a loss may wait for the device
_BETWEEN_LINES = 30.0  # seconds
_MUCH_WAITING = 0.25


@dataclasses.dataclass(eq=False)
class TrainingProgress(keras.callbacks.Callback):
    """Shows progress, speed, and the share of time spent waiting for clips.

    On a terminal it draws a progress bar for the epoch; elsewhere it prints a line from time to
    time, and a line after each epoch. Everything goes to standard error. Use `verbose=0` in
    `fit`.

    It adds `learning_rate`, `clips_per_second` and `data_wait`, the share of time in which
    training waited for clips, to the logs of the epoch, for the callbacks after it. The first
    step of each call of `fit` is excluded from both: it fills the pipeline and compiles.

    The model needs an attribute `data_wait`, the seconds waited so far, as a `Learner` has.

    Args:
        epochs: epochs of the whole run.
        steps_per_epoch: steps of a whole epoch.
        batch_size: clips per batch, over all devices.
        first_step: steps of the first epoch that are already done.
        accuracy: metric to show beside the loss, and that of validation after each epoch.
        loss: metric of validation that is its loss, without the clips that fill a batch.
        clock: returns the time in seconds.
        console: console to print to; None is standard error.

    Example:

    ```python
    progress = TrainingProgress(epochs=10, steps_per_epoch=100, batch_size=32)
    learner.fit(train, steps_per_epoch=100, epochs=10, callbacks=[progress], verbose=0)
    ```
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    first_step: int = 0
    accuracy: str = "top1"
    loss: str = "cross_entropy"
    clock: Callable[[], float] = time.perf_counter
    console: Console | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self._console = self.console or Console(stderr=True)
        self._live: Live | None = None
        self._epoch = 0
        self._start = 0  # steps of this epoch that were done before this call of `fit`
        self._is_first_step = True  # of this call of `fit`
        self._begun = self._now = _Moment(0, 0.0, 0.0)
        self._has_trained = False
        self._between = 0.0  # seconds from the last step of an epoch to the next epoch
        self._shown = 0.0
        self._tenth = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._is_first_step = True
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start()
            atexit.register(self.close)  # `fit` does not notify callbacks of errors

    def on_train_end(self, logs: Any = None) -> None:
        self.close()

    def close(self) -> None:
        """Removes the progress bar; needed if `fit` raised, before `on_train_end`."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            atexit.unregister(self.close)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._start, self.first_step = self.first_step, 0
        self._tenth = 10 * self._start // self.steps_per_epoch
        last = self._now
        self._begun = self._now = self._moment(self._start)
        if self._has_trained:
            self._between = self._now.time - last.time
        self._draw([])
        self._shown = self._now.time

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = self._start + batch + 1
        is_last = done == self.steps_per_epoch
        if self._is_first_step or is_last:
            _value(logs["loss"])  # waits for the device, so that the time is right
        self._now = self._moment(done)
        self._has_trained = True
        if self._is_first_step and not is_last:
            self._begun = self._now
        self._is_first_step = False
        if self._live is not None:
            if self._now.time - self._shown >= _REDRAW:
                self._draw(self._so_far(logs))
                self._shown = self._now.time
        elif self._is_line_due() and not is_last:
            self._print([f"{done}/{self.steps_per_epoch}", *self._so_far(logs), self._time_left()])

    def on_test_begin(self, logs: Any = None) -> None:
        self._draw(["validation"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        speed = self._speed()
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        logs["learning_rate"] = float(rate)
        logs["clips_per_second"] = speed.clips_per_second
        logs["data_wait"] = speed.data_wait
        texts = _metrics(logs, "loss", self.accuracy, f"val_{self.loss}", f"val_{self.accuracy}")
        texts += [f"learning rate {logs['learning_rate']:.3g}", *speed.texts()]
        if speed.data_wait > _MUCH_WAITING:
            texts[-1] += ": reading clips, not the network, is the bottleneck"
        self._print(texts)

    def _moment(self, done: int) -> _Moment:
        return _Moment(done, self.clock(), self.model.data_wait)

    def _speed(self) -> _Speed:
        steps = self._now.done - self._begun.done
        seconds = max(self._now.time - self._begun.time, 1e-9)
        waited = self._now.data_wait - self._begun.data_wait
        return _Speed(steps * self.batch_size / seconds, min(waited / seconds, 1.0))

    def _so_far(self, logs: dict[str, Any]) -> list[str]:
        """Returns the texts of metrics and speed of the epoch so far."""
        texts = _metrics(logs, "loss", self.accuracy)
        return texts + (self._speed().texts() if self._now.done > self._begun.done else [])

    def _time_left(self) -> str:
        """Returns the time left of the epoch and of the run; empty if unknown."""
        steps = self._now.done - self._begun.done
        if not steps:
            return ""
        step = (self._now.time - self._begun.time) / steps
        of_epoch = (self.steps_per_epoch - self._now.done) * step
        others = self.epochs - self._epoch - 1
        of_run = of_epoch + others * (self.steps_per_epoch * step + self._between)
        return f"left: epoch {_duration(of_epoch)}, run {_duration(of_run)}"

    def _is_line_due(self) -> bool:
        tenth = 10 * self._now.done // self.steps_per_epoch
        if tenth == self._tenth or self._now.time - self._shown < _BETWEEN_LINES:
            return False
        self._tenth = tenth
        return True

    def _draw(self, texts: list[str]) -> None:
        """Draws the progress bar, on a terminal."""
        if self._live is None:
            return
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(no_wrap=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_row(
            self._title(),
            ProgressBar(total=self.steps_per_epoch, completed=self._now.done),
            f"{self._now.done}/{self.steps_per_epoch}  {self._time_left()}".rstrip(),
        )
        below = Text("  ".join(texts), no_wrap=True, overflow="ellipsis")
        self._live.update(Group(bar, below), refresh=True)

    def _print(self, texts: list[str]) -> None:
        """Prints a line."""
        self._shown = self._now.time
        line = "  ".join([self._title(), *filter(None, texts)])
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _title(self) -> str:
        return f"epoch {self._epoch + 1}/{self.epochs}"


@dataclasses.dataclass(frozen=True)
class _Moment:
    done: int  # steps of the epoch
    time: float
    data_wait: float  # seconds so far


@dataclasses.dataclass(frozen=True)
class _Speed:
    clips_per_second: float
    data_wait: float  # share of the time

    def texts(self) -> list[str]:
        rate = self.clips_per_second
        digits = 0 if rate >= 100 else 1 if rate >= 10 else 2
        return [f"{rate:.{digits}f} clips/s", f"{self.data_wait:.0%} waiting for clips"]


def _metrics(logs: dict[str, Any], *names: str) -> list[str]:
    return [f"{name} {_value(logs[name]):.4f}" for name in names if name in logs]


def _value(logged: Any) -> float:
    return float(keras.ops.convert_to_numpy(logged))


def _duration(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
