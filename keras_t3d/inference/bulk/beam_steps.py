"""What the workers of Apache Beam compute: the rows of a chunk of videos, into a file."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.utils.shared import Shared

from keras_t3d.data.beam.folder import BeamFolder
from keras_t3d.data.beam.videos import local_path
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.inference.bulk.options import BulkOptions
from keras_t3d.inference.bulk.result_file import Computation


@dataclasses.dataclass(frozen=True)
class SentModel:
    """A model as the workers find it.

    Args:
        path: its path below the shared folder; or, without files, its address on a Hub.
        files: its files, by their paths below the shared folder.
    """

    path: str
    files: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Videos that are computed together.

    Args:
        name: name of the file of their rows.
        videos: the videos, with the paths at which the workers find them.
    """

    name: str
    videos: Sequence[VideoEntry]

    def line(self) -> str:
        """Returns the chunk as a line of a file."""
        videos = [dataclasses.asdict(video) for video in self.videos]
        return json.dumps({"name": self.name, "videos": videos}) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Chunk:
        """Returns the chunk of a line."""
        values = json.loads(line)
        return cls(values["name"], [VideoEntry(**video) for video in values["videos"]])


class ComputeChunk(beam.DoFn):
    """Writes the rows of a chunk to a file, and yields its name.

    The threads of a worker process share one model. Batches are of the videos of one chunk, so that
    its rows do not depend on where and when it is computed.

    Args:
        folder: folder that launcher and workers share.
        model: SentModel.
        load: returns what to compute with a model.
        options: BulkOptions; of the decoding processes, each thread has one by default.
    """

    def __init__(
        self,
        folder: BeamFolder,
        model: SentModel,
        load: Callable[[Any], Computation],
        options: BulkOptions,
    ) -> None:
        self._folder, self._model, self._load = folder, model, load
        workers = 1 if options.workers is None else options.workers
        self._options = dataclasses.replace(options, workers=workers)
        self._shared = Shared()

    def setup(self) -> None:
        self._computation = self._shared.acquire(self._loaded)

    def _loaded(self) -> Computation:
        model = self._model
        if not model.files:
            return self._load(model.path)
        with tempfile.TemporaryDirectory(prefix="keras_t3d-") as here:
            self._folder.fetch(model.files, here)
            return self._load(os.path.join(here, model.path))

    def process(self, line: str) -> Iterator[str]:
        chunk = Chunk.from_line(line)
        with _here(chunk.videos) as videos:
            rows = self._computation.rows(videos, self._options)
            content = b"".join(json.dumps(row).encode("ascii") + b"\n" for row in rows)
        self._folder.write(chunk.name, io.BytesIO(content))
        yield chunk.name


@contextlib.contextmanager
def _here(videos: Sequence[VideoEntry]) -> Iterator[list[VideoEntry]]:
    """Yields videos with local paths; what is in a bucket is fetched, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="keras_t3d-") as folder:
        local: dict[str, str] = {}  # spans of one video share it
        for video in videos:
            if video.path not in local:
                below = os.path.join(folder, str(len(local)))  # names can be the same
                os.mkdir(below)
                local[video.path] = local_path(video.path, below)
        yield [dataclasses.replace(video, path=local[video.path]) for video in videos]
