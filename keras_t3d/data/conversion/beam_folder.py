"""The output folder of a conversion with Apache Beam: in a bucket, or on a shared disk.

It holds the same files as `OutputFolder`, so that on a disk either runner resumes the other's
conversion.
"""

from __future__ import annotations

import concurrent.futures
import io
import json
import os
import shutil
import uuid
from typing import Any, BinaryIO

from apache_beam.io.filesystems import FileSystems

from keras_t3d.data.conversion.output_folder import FINGERPRINT, STATE, check_start, summary_file
from keras_t3d.data.shards.object_store import is_address

_READERS = 16  # a bucket has a high latency, but answers many requests at once


class BeamFolder:
    """The state of a conversion, as launcher and workers see it.

    Args:
        out: absolute path of the folder, or its address in a bucket.
    """

    def __init__(self, out: str) -> None:
        self.out = out.rstrip("/") or out

    def path(self, name: str) -> str:
        """Returns the path of a file."""
        return f"{self.out}/{name}"

    def enter(self, fingerprint: str) -> None:
        """Creates the folder, or checks that it holds this conversion, unfinished.

        Raises:
            InvalidArgumentError: if it holds anything else.
        """
        names = self._names("")
        started = None
        if os.path.basename(FINGERPRINT) in self._names(STATE):
            started = self._read(FINGERPRINT).decode()
        check_start(self.out, names, started, fingerprint)
        for name in names:
            if name.startswith(".part-"):
                self._delete(name)
        if started is None:
            self.write(FINGERPRINT, io.BytesIO(fingerprint.encode()))

    def leave(self) -> None:
        """Removes the state of a finished conversion."""
        self._delete(f"{STATE}/")

    def clear(self, remove: bool) -> None:
        """Removes shards and state, and with `remove` the folder, too."""
        for name in self._names(""):
            if name.endswith(".tfrecord"):
                self._delete(name)
        self.leave()
        if remove and not is_address(self.out):
            os.rmdir(self.out)

    def write(self, name: str, content: BinaryIO) -> None:
        """Writes a file completely or not at all."""
        # A unique name, as a runner may write the same file twice at a time.
        part = f".part-{uuid.uuid4().hex}-{os.path.basename(name)}"
        try:
            with FileSystems.create(self.path(part)) as file:
                shutil.copyfileobj(content, file, 2**20)
            if is_address(self.out):
                if FileSystems.exists(self.path(name)):  # HDFS does not rename over a file
                    FileSystems.delete([self.path(name)])
                FileSystems.rename([self.path(part)], [self.path(name)])
            else:
                os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
                os.replace(self.path(part), self.path(name))
        except BaseException:
            if FileSystems.exists(self.path(part)):
                self._delete(part)
            raise

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Returns the summaries of the finished shards, by name."""
        names = [name for name in self._names(STATE) if name.endswith(".tfrecord.json")]
        shards = [name.removesuffix(".json") for name in names]
        with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
            texts = pool.map(self._read, map(summary_file, shards))
            return {name: json.loads(text) for name, text in zip(shards, texts, strict=True)}

    def _names(self, name: str) -> set[str]:
        """Returns the names in the folder, or in one of its folders."""
        path = self.path(name).rstrip("/")
        if not is_address(path):
            return set(os.listdir(path)) if os.path.isdir(path) else set()
        found = FileSystems.match([f"{path}/**"])[0].metadata_list
        return {file.path[len(path) + 1 :].partition("/")[0] for file in found}

    def _read(self, name: str) -> bytes:
        with FileSystems.open(self.path(name)) as file:
            return file.read()

    def _delete(self, name: str) -> None:
        # FileSystems takes a name on a disk for a pattern.
        if is_address(self.out):
            FileSystems.delete([self.path(name)])
        elif name.endswith("/"):
            shutil.rmtree(self.path(name))
        else:
            os.unlink(self.path(name))
