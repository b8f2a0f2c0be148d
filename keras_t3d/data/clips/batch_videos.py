"""Which videos a training batch is made of, without reading the batches before it."""

from __future__ import annotations

import os

from keras_t3d.data.clips.arguments import check_repeats, check_whole
from keras_t3d.data.clips.order import epoch_order
from keras_t3d.data.clips.steps import training_steps
from keras_t3d.data.shards.damage import SplitRecords, check_local, damaged_shard, split_records
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet


def batch_videos(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    *,
    batch_size: int,
    step: int,
    seed: int,
    shuffle_buffer: int = 256,
    repeats: int = 1,
    on_damage: str = "error",
) -> list[str]:
    """Names the videos of one training batch of `load_clips`; only their records are read.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        batch_size: int. Clips in a batch, over all devices and workers.
        step: int. Number of the batch, from 0, counted from the first epoch on: the batch
            that `load_clips(..., first_step=step)` begins with.
        seed: int. As given to `load_clips`.
        shuffle_buffer: int. As given to `load_clips`. Defaults to `256`.
        repeats: int. `Augmentation.repeats`: neighbouring clips of one video. Defaults to `1`.
        on_damage: as given to `load_clips`; `"skip"` reads all shards. Defaults to `"error"`.

    Returns:
        The ids, one a video, in the order of the batch. A record without an id is named
        by its file and byte.

    Raises:
        ValueError: if there is no such batch, a record is damaged, or the shards lie in an
            object store.

    Example:

    ```python
    batch_videos("shards/ucf101", "train", batch_size=32, step=1119, seed=0)
    # ["Archery/v_Archery_g08_c01.avi", ...]
    ```
    """
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    check_whole("batch_size", batch_size, 1)
    check_whole("step", step, 0)
    check_whole("seed", seed, 0)
    check_whole("shuffle_buffer", shuffle_buffer, 1)
    check_whole("repeats", repeats, 1)
    check_repeats(repeats, batch_size)
    records = split_records(shards, split, on_damage)
    check_local(records.paths, "batch_videos")
    source = f"The split {split!r} of {shards.folder}"
    steps = training_steps(records.num_videos, batch_size, repeats, source)
    epoch, step_in_epoch = divmod(step, steps)
    order = epoch_order(records.examples, seed, epoch, shuffle_buffer)
    videos = batch_size // repeats
    first = step_in_epoch * videos
    return [
        _video_id(records, shard, record)
        for shard, record in order[first : first + videos].tolist()
    ]


def _video_id(records: SplitRecords, shard: int, record: int) -> str:
    path = records.paths[shard]
    try:
        offsets = records.offsets[shard] if records.offsets else record_offsets(path)
        offset = int(offsets[record])
        with open(path, "rb") as file:
            video = stored_video(read_record(file, offset))
    except ValueError as error:
        raise damaged_shard(f"{path}, record {record}: {error}") from None
    return video.video_id or f"{path}, byte {offset}"
