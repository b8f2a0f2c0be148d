"""The order of training: a pure function of (seed, epoch, position).

Shards are shuffled and read in groups, one record of each in turn; records are then shuffled
within windows. Random numbers come from Philox, a counter-based generator: the numbers of one
position depend on no other, so any position of any epoch can be computed directly. NumPy
guarantees the bits of Philox across versions.

Reference:
    Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

OPEN_SHARDS = 16

# Streams of numbers by purpose: one word of the counter, so that streams never overlap.
_SHARDS, _RECORDS, CLIPS, SEGMENTS = range(4)
_BLOCK = 4  # 64-bit numbers per value of Philox's counter


def epoch_order(
    examples_per_shard: Sequence[int], seed: int, epoch: int, window: int
) -> np.ndarray:
    """Returns the record at each position of an epoch.

    Args:
        examples_per_shard: number of records in each shard.
        seed: integer from 0 to 2**64 - 1.
        epoch: index of the epoch, from 0.
        window: number of records that are shuffled together.

    Returns:
        int64 (records, 2): indices of the shard and of the record in it. Every record occurs once.

    Example:

    ```python
    epoch_order([2, 1], seed=0, epoch=0, window=256)  # [[0, 1], [1, 0], [0, 0]]
    ```
    """
    read = reading_order(examples_per_shard, seed, epoch)
    places = [
        start + shuffled_window(seed, epoch, start, min(window, len(read) - start))
        for start in range(0, len(read), window)
    ]
    return read[np.concatenate(places)] if places else read


def shard_order(num_shards: int, seed: int, epoch: int) -> np.ndarray:
    """Returns the order in which an epoch opens the shards: int64 (num_shards,)."""
    return np.argsort(_words(seed, epoch, _SHARDS, 0, num_shards), kind="stable")


def reading_order(examples_per_shard: Sequence[int], seed: int, epoch: int) -> np.ndarray:
    """Returns the order in which records are read, before they are shuffled in windows.

    Groups of 16 shards follow each other; within a group one record of each shard is read in
    turn, until all shards end. See `epoch_order`.
    """
    examples = np.asarray(examples_per_shard, np.int64)
    shards = shard_order(len(examples), seed, epoch)
    counts = examples[shards]
    slot = np.repeat(np.arange(len(shards)), counts)
    record = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    order = np.lexsort((slot, record, slot // OPEN_SHARDS))
    return np.stack([shards[slot], record], axis=1)[order]


def shuffled_window(seed: int, epoch: int, start: int, size: int) -> np.ndarray:
    """Returns the order of the records read at `start` to `start + size`: int64 (size,)."""
    return np.argsort(_words(seed, epoch, _RECORDS, start, size), kind="stable")


def draws(seed: int, epoch: int, stream: int, positions: ArrayLike, size: int) -> np.ndarray:
    """Returns the random numbers of clips.

    Args:
        seed: integer from 0 to 2**64 - 1.
        epoch: index of the epoch, from 0.
        stream: `CLIPS`, or `SEGMENTS` for clips that take one frame of each segment.
        positions: integers (n,), positions of clips in the epoch.
        size: numbers per clip, the same at every position.

    Returns:
        float64 (n, size) with values in [0, 1).

    Example:

    ```python
    draws(0, 0, CLIPS, [5], 8)[0]  # the same numbers as draws(0, 0, CLIPS, range(10), 8)[5]
    ```
    """
    positions = np.asarray(positions, np.int64)
    row = -(-size // _BLOCK) * _BLOCK
    numbers = np.empty((len(positions), row), np.uint64)
    # Consecutive positions share one generator: one per row would take most of the time.
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    bounds = [0, *breaks.tolist(), len(positions)]
    for first, last in itertools.pairwise(bounds):
        if first < last:
            words = _words(seed, epoch, stream, int(positions[first]) * row, (last - first) * row)
            numbers[first:last] = words.reshape(-1, row)
    return (numbers[:, :size] >> np.uint64(11)) * 2.0**-53


def _words(seed: int, epoch: int, stream: int, first: int, count: int) -> np.ndarray:
    """Returns `count` 64-bit numbers of a stream, from position `first` on."""
    block, skipped = divmod(first, _BLOCK)
    counter = np.array([block, 0, 0, stream], np.uint64)
    philox = np.random.Philox(counter=counter, key=np.array([seed, epoch], np.uint64))
    return philox.random_raw(skipped + count)[skipped:]
