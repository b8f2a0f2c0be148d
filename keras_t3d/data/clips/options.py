"""Options of reading clips, each declared once: name, type, default, rule and help."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Literal

from keras_t3d.clips.clip_spec import ClipSpec, check_fps
from keras_t3d.errors import InvalidArgumentError, check_integer


@dataclasses.dataclass(frozen=True)
class ClipSelection:
    """Options that select training clips; training recipes set them under `data:`.

    Args:
        sampling: frames of a training clip: random (consecutive frames from a random start) or
            segments (one random frame of each of `num_frames` equal parts of the video).
        short: training clips of videos that are too short: loop (start again), pad (repeat the
            last frame) or error.
        target_fps: frames per second of the clips, in place of the clip's `frame_stride`; it is
            the clip's `fps`.
        shuffle_buffer: number of videos that are shuffled together, after the shards.
        on_damage: damaged records: error (fail when one is read) or skip (check all shards first,
            leave damaged records out and warn).
    """

    sampling: Literal["random", "segments"] = "random"
    short: Literal["loop", "pad", "error"] = "loop"
    target_fps: float | None = None
    shuffle_buffer: int = 256
    on_damage: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        _check_choice("sampling", self.sampling, ("random", "segments"))
        _check_choice("short", self.short, ("loop", "pad", "error"))
        _check_choice("on_damage", self.on_damage, ("error", "skip"))
        check_integer("shuffle_buffer", self.shuffle_buffer, 1, 256)
        rate = self.target_fps
        if rate is None:
            return
        check_fps("target_fps", rate)
        if self.sampling == "segments":
            raise InvalidArgumentError(
                "`target_fps` must be None with `sampling` 'segments', which spreads the frames "
                f"over the whole video. Received: target_fps={rate!r}",
                argument="target_fps",
            )

    def at_target_fps(self, clip_spec: ClipSpec) -> ClipSpec:
        """Returns the ClipSpec at `target_fps`, if that is given."""
        if self.target_fps is None:
            return clip_spec
        return dataclasses.replace(clip_spec, fps=self.target_fps, frame_stride=1)

    def read_options(self) -> ReadOptions:
        """Returns ReadOptions with these values."""
        names = [field.name for field in dataclasses.fields(ClipSelection)]
        return ReadOptions(**{name: getattr(self, name) for name in names})


@dataclasses.dataclass(frozen=True)
class ReadOptions(ClipSelection):
    """Options of ClipReader and `load_clips`, next to those of ClipSelection.

    Args:
        repeat: whether one training pass holds all epochs, without end.
        first_step: number of training batches to skip, counted from the first epoch. Skipped
            records are not decoded, skipped epochs not read.
        pad_last_batch: whether evaluation repeats clips to fill the last batch, for several
            devices or workers. Labels are then a dict. `VideoClassifier` and `Learner` use it to
            leave these clips out; other Keras models refuse it. Without labels, their video
            number is -1.
        worker: (index, count) of this worker, which reads `batch_size / count` clips of every
            batch. All parts together are the batch of a single process; mixing stays within one.
        cache: True keeps shards in memory once read, until the process ends; a folder keeps
            copies there. Only in the tf.data form.

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    ReadOptions(repeat=True, target_fps=12.5, on_damage="skip")
    ```
    """

    repeat: bool = False
    first_step: int = 0
    pad_last_batch: bool = False
    worker: tuple[int, int] = (0, 1)
    cache: bool | str | os.PathLike[str] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("first_step", self.first_step, 0, 1000)
        cache: Any = self.cache
        if not isinstance(cache, bool) and (
            not isinstance(cache, (str, os.PathLike)) or not str(cache)
        ):
            raise InvalidArgumentError(
                '`cache` must be True (in memory), False or a folder, for example "/tmp/shards". '
                f"Received: {cache!r}",
                argument="cache",
            )
        worker: Any = self.worker
        if (
            not isinstance(worker, (tuple, list))
            or len(worker) != 2
            or not all(isinstance(n, int) and not isinstance(n, bool) for n in worker)
            or not 0 <= worker[0] < worker[1]
        ):
            raise InvalidArgumentError(
                "`worker` must be (index, count) with 0 <= index < count, for example (0, 2) for "
                f"the first of two. Received: {worker!r}",
                argument="worker",
            )

    def worker_slice(self, batch_size: int) -> slice:
        """Returns which clips of every batch this worker reads.

        Args:
            batch_size: clips in a batch, over all workers.

        Raises:
            InvalidArgumentError: if the workers cannot share a batch evenly.
        """
        index, count = self.worker
        if batch_size % count:
            raise InvalidArgumentError(
                "`batch_size` must be a multiple of the number of workers, for example "
                f"{count * -(-batch_size // count)}. Received: batch_size={batch_size}, "
                f"worker={self.worker!r}",
                argument="batch_size",
            )
        share = batch_size // count
        return slice(index * share, (index + 1) * share)


def read_options(values: Mapping[str, Any]) -> ReadOptions:
    """Returns the ReadOptions of these values.

    Raises:
        InvalidArgumentError: if there is no such option, or a value is out of its range.
    """
    names = [field.name for field in dataclasses.fields(ReadOptions)]
    for name, value in values.items():
        if name not in names:
            raise InvalidArgumentError(
                f"`{name}` must be one of the options {', '.join(names)}. "
                f"Received: {name}={value!r}",
                argument=name,
            )
    return ReadOptions(**values)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raises an InvalidArgumentError unless `value` is one of the choices."""
    if value not in choices:
        raise InvalidArgumentError(
            f"`{name}` must be one of {choices}. Received: {value!r}", argument=name
        )
