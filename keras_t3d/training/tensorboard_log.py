"""What a training run leaves for TensorBoard; needs no TensorFlow."""

from __future__ import annotations

import functools
import io
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image, ImageDraw
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation.charts import draw_confusion_matrix
from keras_t3d.fonts import PillowFont, find_fonts, warn_of_missing_characters


class TensorBoardLog(keras.callbacks.Callback):
    """Writes the metrics of each epoch, sample clips and the confusion matrix.

    Metrics are in the runs `train` and `validation` under the same tags, `epoch_loss` and so on,
    which TensorBoard draws into one chart; `learning_rate`, `clips_per_second` and `data_wait`
    are included if `TrainingProgress` precedes this callback. A resumed run appends.

    Args:
        folder: folder for `tensorboard --logdir`.
        sample_clips: returns training clips, uint8 of shape `(n, T, H, W, 3)`, and the class
            name of each; called before the first epoch.
        confusion: returns the confusion matrix of the last validation, counts of shape
            `(true classes, predicted classes)`, and the class names; called after each epoch.

    Example:

    ```python
    log = TensorBoardLog(pathlib.Path("runs/a/tensorboard"), lambda: (clips, names))
    learner.fit(train, epochs=10, callbacks=[TrainingProgress(10, 100, 32), log])
    ```
    """

    def __init__(
        self,
        folder: pathlib.Path,
        sample_clips: Callable[[], tuple[np.ndarray, Sequence[str]]] | None = None,
        confusion: Callable[[], tuple[Any, Sequence[str]]] | None = None,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._sample_clips = sample_clips
        self._confusion = confusion
        self._writers: dict[str, EventFileWriter] = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 0 and self._sample_clips is not None:
            self._add("train", 0, [_image("sample_clips", clips_png(*self._sample_clips()))])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values: dict[str, list[Summary.Value]] = {"train": [], "validation": []}
        for name, value in (logs or {}).items():
            run = "validation" if name.startswith("val_") else "train"
            tag = f"epoch_{name.removeprefix('val_')}"
            values[run].append(Summary.Value(tag=tag, simple_value=float(value)))
        if self._confusion is not None:
            counts, names = self._confusion()
            whole = np.rint(keras.ops.convert_to_numpy(counts)).astype(np.int64)
            values["validation"].append(
                _image("confusion_matrix", draw_confusion_matrix(whole, names))
            )
        for run, summaries in values.items():
            if summaries:
                self._add(run, epoch, summaries)

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _add(self, run: str, epoch: int, values: list[Summary.Value]) -> None:
        if run not in self._writers:
            self._writers[run] = EventFileWriter(os.fspath(self._folder / run))
        summary = Summary(value=values)
        self._writers[run].add_event(Event(wall_time=time.time(), step=epoch, summary=summary))
        self._writers[run].flush()  # `fit` does not notify callbacks of errors


def _image(tag: str, png: bytes) -> Summary.Value:
    with Image.open(io.BytesIO(png)) as image:  # reads the header only
        width, height = image.size
    picture = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
    return Summary.Value(tag=tag, image=picture)


_MOST_CLIPS = 16
_MOST_FRAMES = 8
_TILE = 112  # pixels, longest side of a frame
_LETTERS = 13  # pixels
_HEADING = 22
_GAP = 4
_NARROWEST = 320  # pixels: room for a name above small frames


def clips_png(clips: np.ndarray, names: Sequence[str]) -> bytes:
    """Draws the first 16 clips, each as a row of up to 8 frames below its class name, as a PNG."""
    fonts = find_fonts(names[:_MOST_CLIPS])
    warn_of_missing_characters(names[:_MOST_CLIPS], fonts)
    font = PillowFont(fonts, _LETTERS)
    ascent = font.usual.getmetrics()[0]
    rows = [_frames(clip) for clip in clips[:_MOST_CLIPS]]
    width, height = rows[0][0].size
    step = width + _GAP
    sheet_width = max(len(rows[0]) * step, _NARROWEST) + _GAP
    row_height = _HEADING + height + _GAP
    sheet = Image.new("RGB", (sheet_width, len(rows) * row_height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (frames, name) in enumerate(zip(rows, names[: len(rows)], strict=True)):
        top = row * row_height
        text = font.fitting(name, sheet_width - 2 * _GAP)
        font.draw(draw, (_GAP, top + _GAP + ascent), text, "black")
        for column, frame in enumerate(frames):
            sheet.paste(frame, (_GAP + column * step, top + _HEADING))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _frames(clip: np.ndarray) -> list[Image.Image]:
    """Returns evenly spaced frames, including the first and the last."""
    count = min(len(clip), _MOST_FRAMES)
    chosen = np.linspace(0, len(clip) - 1, count).round().astype(int)
    frames = [Image.fromarray(np.asarray(clip[index])) for index in chosen]
    for frame in frames:
        frame.thumbnail((_TILE, _TILE))
    return frames


class Profile(keras.callbacks.Callback):
    """Traces some training steps for TensorBoard's profiler, once per run.

    The trace is written to `folder/plugins/profile`; if there is one already, nothing is traced.
    TensorBoard shows it with the package `xprof`. Training that ends during the trace leaves the
    trace of the steps so far.

    Args:
        folder: folder for `tensorboard --logdir`.
        first: steps before the trace, which compile and fill the pipeline.
        steps: steps to trace.

    Raises:
        InvalidArgumentError: on a backend other than TensorFlow and JAX.

    Example:

    ```python
    learner.fit(train, epochs=1, callbacks=[Profile(pathlib.Path("runs/a/tensorboard"))])
    ```
    """

    def __init__(self, folder: pathlib.Path, first: int = 10, steps: int = 10) -> None:
        super().__init__()
        if keras.backend.backend() not in ("tensorflow", "jax"):
            raise InvalidArgumentError(
                "`profile` needs the TensorFlow or JAX backend. "
                f"Received: {keras.backend.backend()}",
                argument="profile",
            )
        self._folder = folder
        self._first = first
        self._steps = steps
        self._seen = 0
        self._is_done = any((folder / "plugins" / "profile").glob("*"))
        self._is_tracing = False
        self._start_trace, self._stop_trace, self._annotate = _profiler()
        self._step: Any = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._seen == self._first and not self._is_done and not self._is_tracing:
            self._is_tracing = self._runs(self._start_trace, os.fspath(self._folder))
            self._is_done = not self._is_tracing
        if self._is_tracing:
            self._step = self._annotate(self._seen)
            self._step.__enter__()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._seen += 1
        if not self._is_tracing:
            return
        is_last = self._seen == self._first + self._steps
        if is_last:
            float(keras.ops.convert_to_numpy(logs["loss"]))  # waits for the device
        self._step.__exit__(None, None, None)
        if is_last:
            self._stop()

    def on_train_end(self, logs: Any = None) -> None:
        if self._is_tracing:
            self._stop()

    def _stop(self) -> None:
        self._runs(self._stop_trace)
        self._is_tracing, self._is_done = False, True

    def _runs(self, step: Callable[..., None], *arguments: str) -> bool:
        """Returns whether a step of the profiler succeeded; a failure must not stop training."""
        try:
            step(*arguments)
        except Exception as error:
            warnings.warn(f"Profiling failed: {error}", stacklevel=2)
            return False
        return True


def _profiler() -> tuple[Callable[[str], Any], Callable[[], Any], Callable[[int], Any]]:
    """Returns the functions of the backend that start a trace, stop it, and mark a step."""
    if keras.backend.backend() == "jax":
        import jax.profiler as jax_profiler

        mark = functools.partial(jax_profiler.StepTraceAnnotation, "train")
        start, stop = jax_profiler.start_trace, jax_profiler.stop_trace
    else:
        from tensorflow import profiler

        mark = functools.partial(profiler.experimental.Trace, "train", _r=1)
        start, stop = profiler.experimental.start, profiler.experimental.stop
    return start, stop, lambda number: mark(step_num=number)
