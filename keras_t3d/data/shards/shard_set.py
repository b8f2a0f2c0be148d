"""A folder of shards: its labels, its manifest, and whether its files are whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any

from keras_t3d.artifact_files import LABELS

MANIFEST = "manifest.json"
REJECTS = "rejects.csv"


@dataclasses.dataclass(frozen=True)
class ShardSet:
    """A finished folder of clip shards.

    Attributes:
        folder: pathlib.Path.
        class_names: str. One a class; a name's place is its class id.
        manifest: dict. What `manifest.json` holds.

    Example:

    ```python
    shards = ShardSet.open("shards/ucf101")
    shards.class_names, shards.num_videos("train")
    ```
    """

    folder: pathlib.Path
    class_names: tuple[str, ...]
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ShardSet:
        """Reads labels and manifest, and checks that each shard has its size.

        Raises:
            ValueError: if the folder holds no finished conversion, or a shard is
                missing or cut short.
        """
        folder = pathlib.Path(folder)
        for name in (MANIFEST, LABELS):
            if not (folder / name).is_file():
                raise ValueError(
                    f"Not a folder of finished shards: it has no {name}. Make one with "
                    f"`keras-t3d convert VIDEOS {folder} --layout folder`; an interrupted "
                    f"conversion goes on when run again. Received: {folder}"
                )
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            sizes = {shard["name"]: shard["bytes"] for shard in manifest["shards"]}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{MANIFEST} cannot be read ({error}). Convert the videos again into a new "
                f"folder. Received: {folder / MANIFEST}"
            ) from None
        for name, size in sizes.items():
            path = folder / name
            found = path.stat().st_size if path.is_file() else None
            if found != size:
                state = "is missing" if found is None else f"has {found} bytes instead of {size}"
                raise ValueError(
                    f"The shard {path} {state}. Convert the videos again, or restore the file."
                )
        lines = (folder / LABELS).read_text(encoding="utf-8").splitlines()
        if len(lines) != manifest["num_classes"]:
            raise ValueError(
                f"{LABELS} must have one line for each of the {manifest['num_classes']} classes "
                f"that the shards were written with. Received: {len(lines)} lines in "
                f"{folder / LABELS}"
            )
        return cls(folder, tuple(lines), manifest)

    @property
    def short_side(self) -> int:
        """Largest short side of the stored frames, in pixels."""
        return int(self.manifest["options"]["short_side"])

    @property
    def splits(self) -> list[str]:
        """The splits that hold videos."""
        return [name for name, split in self.manifest["splits"].items() if split["videos"]]

    def num_videos(self, split: str) -> int:
        """Number of videos in a split."""
        self.check_split(split)
        return int(self.manifest["splits"][split]["videos"])

    def paths(self, split: str) -> list[str]:
        """Paths of a split's shards that hold videos, in order."""
        self.check_split(split)
        return [
            str(self.folder / shard["name"])
            for shard in self.manifest["shards"]
            if shard["split"] == split and shard["examples"]
        ]

    def check_split(self, split: str) -> None:
        """Raises a ValueError where the split holds no videos."""
        if split not in self.splits:
            raise ValueError(
                f"The shards hold no videos of the split {split!r}; they have {self.splits}. "
                f"Received: {self.folder}"
            )

    def damaged_shards(self) -> list[str]:
        """Reads every shard and returns the paths whose checksum is not the manifest's."""
        return [
            str(self.folder / shard["name"])
            for shard in self.manifest["shards"]
            if checksum(self.folder / shard["name"]) != shard["sha256"]
        ]


def checksum(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
