"""A set of shards with its labels and manifest."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_t3d.artifact_files import LABELS, is_class_name
from keras_t3d.data.shards.errors import RecordError, ShardError
from keras_t3d.data.shards.object_store import Address, is_address
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard import Shard, check_sizes
from keras_t3d.data.sources.listing import SPLITS
from keras_t3d.errors import InvalidArgumentError

MANIFEST = "manifest.json"
REJECTS = "rejects.csv"


@dataclasses.dataclass(frozen=True)
class ShardSet:
    """Shards of clips, in a folder, in an object store, or written by another program.

    Attributes:
        folder: path, or Address in an object store, of the folder of the shards.
        class_names: class names in the order of their ids. Empty if the videos have no labels,
            or the labels are not to be read.
        short_side: largest short side of the stored frames, in pixels.
        shards: the files.

    Example:

    ```python
    shards = ShardSet.open("shards/ucf101")
    shards.class_names, shards.num_videos("train")
    ```
    """

    folder: pathlib.Path | Address
    class_names: tuple[str, ...]
    short_side: int
    shards: tuple[Shard, ...]
    _manifest: dict[str, Any] | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ShardSet:
        """Reads labels and manifest, and checks the size of each shard.

        Args:
            folder: folder that `convert` wrote, or the address of a copy, such as
                `"s3://bucket/folder"` or `"gs://bucket/folder"`.

        Returns:
            The ShardSet.

        Raises:
            MissingPackageError: if a package that reads the address is not installed.
            InvalidArgumentError: if the folder holds no finished conversion or cannot be read, or
                a shard is missing or cut short.

        Example:

        ```python
        shards = ShardSet.open("s3://bucket/shards/ucf101")
        ```
        """
        place: pathlib.Path | Address
        if is_address(folder):
            place = Address(os.fspath(folder))
            place.check_bucket()
        else:
            place = pathlib.Path(folder)
        manifest_text, labels_text = (_text(place, name) for name in (MANIFEST, LABELS))
        try:
            manifest = json.loads(manifest_text)
            shards = tuple(
                Shard(place / shard["name"], shard["split"], shard["examples"], shard["sha256"])
                for shard in manifest["shards"]
            )
            sizes = [shard["bytes"] for shard in manifest["shards"]]
            num_classes, short_side = manifest["num_classes"], manifest["options"]["short_side"]
        except (ValueError, KeyError, TypeError) as error:
            raise ShardError(
                f"{MANIFEST} cannot be read ({error}). Convert the videos again into a new "
                f"folder. Received: {place / MANIFEST}"
            ) from None
        check_sizes(shards, sizes)
        names = labels_text.splitlines()
        if len(names) != num_classes:
            raise ShardError(
                f"{LABELS} must have one line for each of the {num_classes} classes "
                f"that the shards were written with. Received: {len(names)} lines in "
                f"{place / LABELS}"
            )
        return cls(place, tuple(names), int(short_side), shards, manifest)

    @classmethod
    def of_files(
        cls,
        files: Mapping[str, Sequence[str | os.PathLike[str]]],
        class_names: Sequence[str],
        short_side: int | None = None,
    ) -> ShardSet:
        """Opens TFRecord files that another program wrote in the format of DMVR.

        Args:
            files: paths of local, uncompressed files for each split.
            class_names: class names in the order of the ids in the records. Empty for records
                without labels, or to ignore them.
            short_side: largest short side of the stored frames, in pixels; None takes it from
                the first record.

        Returns:
            The ShardSet. It has no manifest.

        Raises:
            FileNotFoundError: if a file is missing.
            InvalidArgumentError: if the arguments are wrong, a file is cut short, or its first
                record holds no JPEG frames.

        Example:

        ```python
        shards = ShardSet.of_files(
            {"train": ["train-0.tfrecord", "train-1.tfrecord"], "test": ["test-0.tfrecord"]},
            class_names=["jump", "run"],
        )
        clips = keras_t3d.data.load_clips(shards, "train", spec, batch_size=8, training=True)
        ```

        Reference:
            https://github.com/google-deepmind/dmvr
        """
        _check_files(files)
        _check_class_names(class_names)
        if short_side is not None and (not isinstance(short_side, int) or short_side < 1):
            raise InvalidArgumentError(
                "`short_side` must be a number of pixels, for example 128. "
                f"Received: {short_side!r}"
            )
        listed = [(split, pathlib.Path(path)) for split, paths in files.items() for path in paths]
        shards = tuple(Shard(path, split, _num_records(path)) for split, path in listed)
        holding = [path for (_, path), shard in zip(listed, shards, strict=True) if shard.examples]
        if not holding:
            raise ShardError(f"The files hold no records. Received: {dict(files)}")
        stored = _short_side_of_first(holding[0])
        folder = os.path.commonpath([path.absolute().parent for _, path in listed])
        return cls(pathlib.Path(folder), tuple(class_names), short_side or stored, shards)

    @property
    def has_manifest(self) -> bool:
        """Whether `convert` wrote the shards, rather than another program."""
        return self._manifest is not None

    @property
    def manifest(self) -> dict[str, Any]:
        """What `manifest.json` holds.

        Raises:
            InvalidArgumentError: if another program wrote the records, which has no manifest.
        """
        if self._manifest is None:
            raise ShardError(
                f"These shards have no {MANIFEST}, which `keras-t3d convert` writes: they were "
                f"opened with ShardSet.of_files. Received: {self.folder}"
            )
        return self._manifest

    @property
    def labels(self) -> str:
        """The origin of the class names, for messages."""
        written = self.has_manifest
        return str(self.folder / LABELS) if written else "the class_names of ShardSet.of_files"

    @property
    def splits(self) -> list[str]:
        """The splits that hold videos."""
        found = {shard.split for shard in self.shards if shard.examples}
        return [*filter(found.__contains__, SPLITS), *sorted(found.difference(SPLITS))]

    def num_videos(self, split: str) -> int:
        """Returns the number of videos in a split."""
        return sum(self.examples(split))

    def paths(self, split: str) -> list[str]:
        """Returns the paths of a split's shards that hold videos, in order."""
        return [str(shard.path) for shard in self._holding_videos(split)]

    def examples(self, split: str) -> list[int]:
        """Returns the number of records in each of `paths(split)`."""
        return [shard.examples for shard in self._holding_videos(split)]

    def check_split(self, split: str) -> None:
        """Raises a ValueError where the split holds no videos."""
        if split not in self.splits:
            raise InvalidArgumentError(
                f"The shards hold no videos of the split {split!r}; they have {self.splits}. "
                f"Received: {self.folder}"
            )

    def _holding_videos(self, split: str) -> list[Shard]:
        self.check_split(split)
        return [shard for shard in self.shards if shard.split == split and shard.examples]

    def damaged_shards(self) -> list[str]:
        """Reads every shard and returns the paths of those that do not match their checksum.

        Without a manifest, the checksums of the records are compared.
        """
        return [str(shard.path) for shard in self.shards if shard.is_damaged]


def _text(folder: pathlib.Path | Address, name: str) -> str:
    try:
        return (folder / name).read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ShardError(
            f"Not a folder of finished shards: it has no {name}. Make one with `keras-t3d convert "
            "VIDEOS OUT --layout folder`; re-run it to resume an interrupted conversion. "
            f"Received: {folder}"
        ) from None


def _check_files(files: Mapping[str, Sequence[str | os.PathLike[str]]]) -> None:
    example = '{"train": ["train-0.tfrecord"], "test": ["test-0.tfrecord"]}'
    if not isinstance(files, Mapping) or not any(files.values()):
        raise InvalidArgumentError(f"`files` must be like {example}. Received: {files!r}")
    for split, paths in files.items():
        if isinstance(paths, (str, bytes, os.PathLike)):
            raise InvalidArgumentError(
                f"`files` must have a list for each split, like {example}. Received: {paths!r}"
            )
        for path in paths:
            if is_address(path):
                raise InvalidArgumentError(
                    "`files` must be local, to count their records: copy the files, or "
                    f"convert the videos, whose manifest has the counts. Received: {path}"
                )
        if len(set(map(os.path.abspath, paths))) < len(paths):
            raise InvalidArgumentError(
                f"`files` must list a file of the split {split!r} once. Received: {paths!r}"
            )


def _check_class_names(class_names: Sequence[str]) -> None:
    names = list(class_names)
    is_text = isinstance(class_names, str)
    if is_text or not all(map(is_class_name, names)) or len(set(names)) < len(names):
        raise InvalidArgumentError(
            '`class_names` must be different names, for example ["jump", "run"], or [] for records '
            f"without labels. Received: {class_names!r}"
        )


def _num_records(path: pathlib.Path) -> int:
    try:
        return len(record_offsets(path))
    except RecordError as error:
        raise ShardError(f"{error}. Files must be whole, uncompressed TFRecords.") from None


def _short_side_of_first(path: pathlib.Path) -> int:
    try:
        with open(path, "rb") as file:
            video = stored_video(read_record(file, 0))
    except (ValueError, OSError) as error:
        raise ShardError(
            f"The first record of {path} is not a video in the format of DMVR: {error}"
        ) from None
    return min(video.height, video.width)
