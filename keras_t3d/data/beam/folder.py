"""A folder that launcher and workers share: on a disk, or in a bucket."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from apache_beam.io.filesystems import FileSystems

from keras_t3d.data.shards.object_store import is_address

_READERS = 16  # a bucket has a high latency, but answers many requests at once
_PART = ".part-"


class BeamFolder:
    """Files of a folder by their names below it.

    Args:
        folder: absolute path of the folder, or its address in a bucket.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder.rstrip("/") or folder

    def path(self, name: str) -> str:
        """Returns the path of a file."""
        return f"{self.folder}/{name}"

    def names(self, below: str = "") -> set[str]:
        """Returns the names in the folder, or in one of its folders."""
        path = self.path(below).rstrip("/")
        if not is_address(path):
            return set(os.listdir(path)) if os.path.isdir(path) else set()
        found = FileSystems.match([f"{path}/**"])[0].metadata_list
        return {file.path[len(path) + 1 :].partition("/")[0] for file in found}

    def read(self, name: str) -> bytes:
        """Returns the content of a file."""
        with self._opened(name) as file:
            return file.read()

    def read_all(self, names: Iterable[str]) -> Iterator[bytes]:
        """Yields the contents of files, which are read several at a time."""
        left = iter(names)
        with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
            while some := list(itertools.islice(left, _READERS)):
                yield from pool.map(self.read, some)

    def write(self, name: str, content: BinaryIO) -> None:
        """Writes a file completely or not at all."""
        # A unique name, as a runner may write the same file twice at a time.
        part = f"{_PART}{uuid.uuid4().hex}-{os.path.basename(name)}"
        try:
            with FileSystems.create(self.path(part), compression_type="uncompressed") as file:
                shutil.copyfileobj(content, file, 2**20)
            if is_address(self.folder):
                if FileSystems.exists(self.path(name)):  # HDFS does not rename over a file
                    FileSystems.delete([self.path(name)])
                FileSystems.rename([self.path(part)], [self.path(name)])
            else:
                os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
                os.replace(self.path(part), self.path(name))
        except BaseException:
            if FileSystems.exists(self.path(part)):
                self.delete(part)
            raise

    def fetch(self, names: Iterable[str], here: str) -> None:
        """Copies files to a local folder, under the same names."""
        for name in names:
            copy = os.path.join(here, name)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            with self._opened(name) as content, open(copy, "wb") as file:
                shutil.copyfileobj(content, file, 2**20)

    def delete(self, name: str) -> None:
        """Removes a file; or a folder with its files, if the name ends in a slash."""
        # FileSystems takes a name on a disk for a pattern.
        if is_address(self.folder):
            FileSystems.delete([self.path(name)])
        elif name.endswith("/"):
            shutil.rmtree(self.path(name))
        else:
            os.unlink(self.path(name))

    def delete_unfinished(self) -> None:
        """Removes what killed workers did not write completely."""
        for name in self.names():
            if name.startswith(_PART):
                self.delete(name)

    def delete_all(self) -> None:
        """Removes the folder with all files."""
        if is_address(self.folder):
            FileSystems.delete([f"{self.folder}/"])
        else:
            shutil.rmtree(self.folder)

    def _opened(self, name: str) -> BinaryIO:
        return FileSystems.open(self.path(name), compression_type="uncompressed")
