"""Checks of arguments that the readers of shards share."""

from __future__ import annotations

import os

from keras_t3d.clips import ClipSpec
from keras_t3d.data.shards.shard_set import ShardSet


def opened(shards: str | os.PathLike[str] | ShardSet, split: str, spec: ClipSpec) -> ShardSet:
    """Opens a folder of shards, and refuses a spec that needs larger frames than it holds."""
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    shards.check_split(split)
    if shards.short_side < spec.resize:
        raise ValueError(
            f"The shards {shards.folder} were converted with --short-side {shards.short_side}, "
            f"fewer pixels than the ClipSpec resizes to. Convert the videos with --short-side "
            f"{spec.resize}, or use a spec with resize of at most {shards.short_side}. "
            f"Received: resize={spec.resize}"
        )
    return shards


def check_whole(name: str, value: int, lowest: int) -> None:
    """Raises a ValueError unless `value` is an int of at least `lowest`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ValueError(
            f"`{name}` must be a whole number of at least {lowest}. Received: {value!r}"
        )


def worker_slice(worker: tuple[int, int], batch_size: int) -> tuple[int, int]:
    """Returns first and last + 1 of the clips of each batch that a worker reads.

    Args:
        worker: pair of ints (index, count).
        batch_size: int. Clips in a batch, over all workers.

    Raises:
        ValueError: if there is no such worker, or the batch does not divide evenly.
    """
    is_pair = isinstance(worker, (tuple, list)) and len(worker) == 2
    if (
        not is_pair
        or not all(isinstance(number, int) and not isinstance(number, bool) for number in worker)
        or not 0 <= worker[0] < worker[1]
    ):
        raise ValueError(
            "`worker` must be a pair (index, count) with 0 <= index < count, for example (0, 2) "
            f"for the first of two. Received: {worker!r}"
        )
    index, count = worker
    if batch_size % count:
        raise ValueError(
            "The workers share each batch evenly: `batch_size` must be a multiple of their "
            f"number, for example {count * -(-batch_size // count)}. Received: "
            f"batch_size={batch_size}, worker={worker!r}"
        )
    share = batch_size // count
    return index * share, (index + 1) * share


def check_repeats(repeats: int, batch_size: int) -> None:
    """Raises a ValueError where the clips of a video would lie in two batches."""
    if batch_size % repeats:
        raise ValueError(
            "Augmentation: `repeats` must divide `batch_size`, so that the clips of a video lie "
            f"in one batch. Received: repeats={repeats}, batch_size={batch_size}"
        )
