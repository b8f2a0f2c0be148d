"""What a reader reads: its arguments, checked once for both forms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from keras_t3d.clips import ClipSpec
from keras_t3d.clips.padded_labels import padded_labels
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.clip import Clip, Transform
from keras_t3d.data.clips.clip_draws import unmirrored_ids
from keras_t3d.data.clips.options import ReadOptions
from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError, check_integer


class ReadPlan:
    """The checked arguments of a ClipReader and what follows from them.

    Attributes:
        records: SplitRecords to read.
        worker_slice: which clips of every batch this worker reads.
        unmirrored: ids of classes whose clips are never mirrored.
        steps_per_epoch: batches in an epoch: full ones in training, all in evaluation.

    The other attributes are the arguments, see ClipReader.
    """

    def __init__(
        self,
        shards: str | os.PathLike[str] | ShardSet,
        split: str,
        clip_spec: ClipSpec,
        batch_size: int,
        *,
        training: bool = False,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        options: ReadOptions | None = None,
        labelled: bool = True,
        transforms: Sequence[Transform] = (),
    ) -> None:
        self.options = options or ReadOptions()
        clip_spec = self.options.at_target_fps(clip_spec)
        self.shards = open_shards(shards, split, clip_spec)
        self.split = split
        self.clip_spec = clip_spec
        self.batch_size = batch_size
        self.training = training
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.labelled = labelled
        self.transforms = tuple(transforms)
        if labelled:
            check_labelled(self.shards)
        else:
            _check_unlabelled(self.augmentation)
        check_integer("batch_size", batch_size, 1, 32)
        check_integer("seed", seed, 0, 0)
        self.worker_slice = self.options.worker_slice(batch_size)
        self.unmirrored = (
            unmirrored_ids(self.augmentation, self.shards.class_names)
            if training and labelled
            else []
        )
        self.records = split_records(
            self.shards, split, skip_damaged=self.options.on_damage == "skip"
        )
        self.steps_per_epoch = self._training_steps() if training else self._evaluation_steps()

    @property
    def pads(self) -> bool:
        """Whether the last batch is filled with clips of weight 0."""
        return self.options.pad_last_batch and not self.training

    def labels_of(self, clips: Clip) -> Any:
        """Returns what a batch of these clips has as labels."""
        return padded_labels(clips.label, clips.weight) if self.pads else clips.label

    def _training_steps(self) -> int:
        videos, repeats = self.records.num_videos, self.augmentation.repeats
        if self.batch_size % repeats:
            raise InvalidArgumentError(
                "Augmentation: `repeats` must divide `batch_size`, so that all clips of a video "
                f"are in one batch. Received: repeats={repeats}, batch_size={self.batch_size}",
                argument="repeats",
            )
        if self.augmentation.mixes and self.worker_slice.stop - self.worker_slice.start < 2:
            raise InvalidArgumentError(
                "Augmentation: `mixup` and `cutmix` need at least 2 clips per batch and worker, "
                f"for example batch_size=8. Received: batch_size={self.batch_size}, "
                f"worker={self.options.worker!r}",
                argument="batch_size",
            )
        steps = videos * repeats // self.batch_size
        if steps == 0:
            raise InvalidArgumentError(
                f"`batch_size` must be at most {videos * repeats}: the split {self.split!r} of "
                f"{self.shards.folder} has {videos} videos. "
                f"Received: batch_size={self.batch_size}",
                argument="batch_size",
            )
        return steps

    def _evaluation_steps(self) -> int:
        if self.options.worker[1] > 1 and not self.options.pad_last_batch:
            raise InvalidArgumentError(
                "`pad_last_batch` must be True if several workers evaluate: otherwise some of "
                "them may have no clip in the last batch. "
                f"Received: worker={self.options.worker!r}, pad_last_batch=False",
                argument="pad_last_batch",
            )
        return -(-self.records.num_videos // self.batch_size)


def open_shards(
    shards: str | os.PathLike[str] | ShardSet, split: str, clip_spec: ClipSpec
) -> ShardSet:
    """Opens a folder of shards and checks that it has the split, in frames that are large enough.

    Raises:
        InvalidArgumentError: if the frames are smaller than `clip_spec` resizes to.
        ValueError: if the folder holds no finished shards, or not this split.
    """
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    shards.check_split(split)
    if shards.short_side < clip_spec.resize:
        raise InvalidArgumentError(
            f"`clip_spec` must resize to at most {shards.short_side} pixels, the short side of the "
            f"frames in {shards.folder}; or convert the videos with `short_side` "
            f"{clip_spec.resize}. Received: resize={clip_spec.resize}",
            argument="clip_spec",
        )
    return shards


def _check_unlabelled(augmentation: Augmentation) -> None:
    for name in ("mixup", "cutmix", "no_flip_classes"):
        if getattr(augmentation, name):
            raise InvalidArgumentError(
                f"Augmentation: `{name}` needs labels: leave it unset for clips without labels. "
                f"Received: {name}={getattr(augmentation, name)!r}",
                argument="augmentation",
            )
