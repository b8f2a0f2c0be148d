"""Predicts or embeds many videos on many machines, with Apache Beam.

```
launcher: videos -> chunks of videos, model -> OUT.beam/<hash of what the rows depend on>/
workers:  chunk -> rows -> the same folder, rows-000000.jsonl
launcher: rows of all chunks -> OUT
```
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from keras_t3d.artifact_files import files_of_model, is_on_hub, model_file
from keras_t3d.data.beam.errors import BeamError
from keras_t3d.data.beam.options import check_beam, check_places, pipeline_options
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.sources.named_videos import VideoSource, named_videos
from keras_t3d.errors import InvalidArgumentError, check_argument
from keras_t3d.inference.bulk.embeddings import EMBEDDINGS
from keras_t3d.inference.bulk.options import BulkOptions
from keras_t3d.inference.bulk.part_file import Identity, Row, check_same
from keras_t3d.inference.bulk.predictions import predictions
from keras_t3d.inference.bulk.result_file import BulkReport, Work, identity_of

if TYPE_CHECKING:
    from keras_t3d.data.beam.folder import BeamFolder
    from keras_t3d.inference.bulk.beam_steps import Chunk, SentModel

STATE = ".beam"  # added to the name of the file that is written
_IDENTITY, _PLAN, _MODEL = "identity.json", "plan.jsonl", "model"
_VIDEOS_TOGETHER = 32  # what a worker computes again if it is killed


def write_predictions_with_beam(
    model: str | os.PathLike[str],
    videos: VideoSource,
    out: str | os.PathLike[str],
    options: BulkOptions | None = None,
    *,
    top: int = 5,
    videos_at: str | None = None,
    beam_options: Sequence[str] = (),
) -> BulkReport:
    """Writes the classes of many videos to a file, with an Apache Beam pipeline.

    Workers compute 32 videos at a time, and keep their results in the folder `OUT.beam`. Call it
    again with the same arguments to compute only what is not finished.

    Args:
        model: path of a model as for `predict_videos`, which the launcher sends to the workers;
            or its `hf://` address, from which each worker fetches it.
        videos: as for `predict_videos`; with `videos_at`, a single folder or csv file. Without
            it, the workers read the videos at the same paths.
        out: as for `write_predictions`; launcher and workers share its folder. Or an address in a
            bucket (`gs://`, `s3://`, `hdfs://`), for which Beam needs its own extra.
        options: BulkOptions, whose `workers` are decoding processes of each Beam worker thread, 1
            by default; None means the default of each option.
        top: how many classes to write.
        videos_at: where the workers find the folder of videos, if not at the launcher's path: an
            absolute path, or an address such as `gs://bucket/videos`.
        beam_options: words of Beam's command line, such as `"--runner=FlinkRunner"`. Without
            any, Beam's DirectRunner runs the pipeline.

    Returns:
        A BulkReport.

    Raises:
        MissingPackageError: if Apache Beam is not installed.
        InvalidArgumentError: as `write_predictions` does, and if Beam does not accept an option.
        BeamError: if the pipeline fails.

    Example:

    ```python
    words = ["--direct_num_workers=4", "--direct_running_mode=multi_processing"]
    write_predictions_with_beam("t3d.tflite", "films", "scores.csv", beam_options=words)
    ```

    Reference:
        https://beam.apache.org/documentation/runners/capability-matrix
    """
    return _write(predictions(top), model, videos, out, options, videos_at, beam_options)


def write_embeddings_with_beam(
    model: str | os.PathLike[str],
    videos: VideoSource,
    out: str | os.PathLike[str],
    options: BulkOptions | None = None,
    *,
    videos_at: str | None = None,
    beam_options: Sequence[str] = (),
) -> BulkReport:
    """Writes the embeddings of many videos to a file, with an Apache Beam pipeline.

    See `write_predictions_with_beam`, which does the same with classes.

    Args:
        model: as for `write_predictions_with_beam`, with an embedding: see `embed_videos`.
        videos: as for `write_predictions_with_beam`.
        out: as for `write_embeddings`, or an address in a bucket.
        options: as for `write_predictions_with_beam`.
        videos_at: as for `write_predictions_with_beam`.
        beam_options: as for `write_predictions_with_beam`.

    Returns:
        A BulkReport.

    Raises:
        MissingPackageError: if Apache Beam is not installed.
        InvalidArgumentError: as `write_embeddings` does, and if Beam does not accept an option.
        BeamError: if the pipeline fails.

    Example:

    ```python
    write_embeddings_with_beam("best.keras", "films", "embeddings.parquet")
    ```
    """
    return _write(EMBEDDINGS, model, videos, out, options, videos_at, beam_options)


def _write(
    work: Work,
    model: str | os.PathLike[str],
    videos: VideoSource,
    out: str | os.PathLike[str],
    options: BulkOptions | None,
    videos_at: str | None,
    beam_options: Sequence[str],
) -> BulkReport:
    check_beam(f"Writing {work.name}")
    import apache_beam as beam

    from keras_t3d.data.beam.folder import BeamFolder
    from keras_t3d.data.beam.pipeline import run_over_lines
    from keras_t3d.inference.bulk.beam_steps import ComputeChunk

    is_path = isinstance(model, (str, os.PathLike))
    check_argument("model", model, is_path, "the path of a model, for example runs/a/best.keras")
    runner_options = pipeline_options(beam_options)
    options, model, out = options or BulkOptions(), model_file(model), _whole_path(out)
    work.check_out(out)
    check_places(out, videos_at)
    listed = named_videos(videos)
    chunks = _chunks(listed, _paths_of_workers(videos, videos_at))
    work.load(model)  # what is no model is told at once
    state = BeamFolder(f"{out}{STATE}")
    folder = _entered(state, identity_of(work, model, listed, options))
    finished = folder.names()
    pending = [chunk for chunk in chunks if chunk.name not in finished]
    if pending:
        lines = "".join(chunk.line() for chunk in pending)
        folder.write(_PLAN, io.BytesIO(lines.encode("ascii")))
        step = beam.ParDo(ComputeChunk(folder, _send(folder, model), work.load, options))
        run_over_lines(folder.path(_PLAN), {"Compute": step}, runner_options)
        _check_all_there(folder, chunks)
    report = _write_file(work, folder.read_all(chunk.name for chunk in chunks), out)
    state.delete_all()
    return report


def _whole_path(out: str | os.PathLike[str]) -> str:
    return os.fspath(out) if is_address(out) else os.path.abspath(out)


def _paths_of_workers(videos: VideoSource, videos_at: str | None) -> Callable[[str], str]:
    """Returns the function from the path of a video to that at which the workers find it."""
    if videos_at is None:
        return os.path.abspath
    named = [videos] if isinstance(videos, (str, os.PathLike)) else list(videos)
    if len(named) != 1 or isinstance(named[0], VideoEntry):
        raise InvalidArgumentError(
            "`videos_at` replaces one folder: name the folder of all videos, or one csv file. "
            f"Received: {len(named)} sources, {videos_at}",
            argument="videos_at",
        )
    from keras_t3d.data.beam.videos import path_of_workers

    relocated = path_of_workers(os.path.abspath(named[0]), videos_at)
    return lambda path: relocated(os.path.abspath(path))


def _entered(state: BeamFolder, identity: Identity) -> BeamFolder:
    """Returns the folder of the rows of an identity: new, or left by an unfinished run.

    Rows of another identity lie in another folder, so that none is taken for a row of this one.

    Raises:
        InvalidArgumentError: if a run with another identity is unfinished.
    """
    from keras_t3d.data.beam.folder import BeamFolder

    content = json.dumps({**identity, "chunk": _VIDEOS_TOGETHER}).encode()
    name = hashlib.sha256(content).hexdigest()[:16]
    for other in state.names() - {name}:
        if _IDENTITY in state.names(other):
            check_same(state.folder, json.loads(state.read(f"{other}/{_IDENTITY}")), identity)
    folder = BeamFolder(state.path(name))
    folder.write(_IDENTITY, io.BytesIO(content))
    return folder


def _chunks(videos: Sequence[VideoEntry], paths: Callable[[str], str]) -> list[Chunk]:
    from keras_t3d.inference.bulk.beam_steps import Chunk

    found = [dataclasses.replace(video, path=paths(video.path)) for video in videos]
    starts = range(0, len(found), _VIDEOS_TOGETHER)
    return [
        Chunk(f"rows-{number:06}.jsonl", found[start : start + _VIDEOS_TOGETHER])
        for number, start in enumerate(starts)
    ]


def _send(folder: BeamFolder, model: str) -> SentModel:
    """Copies a model on disk to the folder."""
    from keras_t3d.inference.bulk.beam_steps import SentModel

    if is_on_hub(model):
        return SentModel(model)
    path = pathlib.Path(os.path.abspath(model))
    names = []
    for file in files_of_model(path):
        names.append(f"{_MODEL}/{file.relative_to(path.parent).as_posix()}")
        with file.open("rb") as content:
            folder.write(names[-1], content)
    return SentModel(f"{_MODEL}/{path.name}", tuple(names))


def _check_all_there(folder: BeamFolder, chunks: Sequence[Chunk]) -> None:
    finished = folder.names()
    absent = [chunk.name for chunk in chunks if chunk.name not in finished]
    if absent:
        raise BeamError(
            f"The workers finished, but {len(absent)} of {len(chunks)} files of results are "
            f"missing here, such as {absent[0]}: `out` must be in a folder that the workers "
            f"share, or in a bucket. Received: {folder.folder.removesuffix(STATE)}"
        )


def _write_file(work: Work, chunks: Iterable[bytes], out: str) -> BulkReport:
    """Writes the result of the rows of all chunks, in a bucket by way of a local file."""
    from keras_t3d.data.beam.folder import BeamFolder

    with tempfile.TemporaryDirectory(prefix="keras_t3d-") as here:
        lines = pathlib.Path(here) / "rows.jsonl"  # rows are read several times
        with lines.open("wb") as file:
            file.writelines(chunks)

        def rows() -> Iterator[Row]:
            with lines.open("rb") as file:
                yield from map(json.loads, file)

        if not is_address(out):
            return work.write(rows, pathlib.Path(out))
        parent, _, name = out.rpartition("/")
        local = pathlib.Path(here) / name
        report = work.write(rows, local)
        with local.open("rb") as content:
            BeamFolder(parent).write(name, content)
        return dataclasses.replace(report, path=out)
